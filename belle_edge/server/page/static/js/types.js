// The shapes of what the server sends and of what the page remembers. Types only.

/**
 * @typedef {{temperature?: number, top_k?: number, top_p?: number, min_p?: number, repetition_penalty?: number,
 *   presence_penalty?: number, frequency_penalty?: number, max_tokens?: number, seed?: number,
 *   overflow?: "error" | "slide"}} Sampling
 *
 * @typedef {{id: string, title: string, pinned: boolean, created: number, updated: number, model: string | null,
 *   leaf: string | null, writing: boolean, system?: string | null, settings?: Sampling, draft?: string | null}} Chat
 *
 * @typedef {{id: string, name: string, bytes: number, tokens: number | null}} Attachment
 *
 * @typedef {{prompt_tokens?: number, cached_tokens?: number, prompt_s?: number, tokens?: number, decode_s?: number,
 *   load_s?: number}} Timings
 *
 * @typedef {{code: string, message: string, details?: any}} ErrorBody
 *
 * @typedef {"finished" | "writing" | "stopped" | "length" | "cut" | "failed"} MessageState
 *
 * @typedef {{id: string, chat: string, parent: string | null, role: "user" | "assistant" | "system", text: string,
 *   language?: string | null, blocks?: string[], state: MessageState, created: number, siblings: string[],
 *   settings?: Record<string, any>, seed?: number | null, template?: string | null, model?: string | null,
 *   timings?: Timings, attachments?: Attachment[], error?: ErrorBody | null, dropped?: string[]}} Message
 *
 * @typedef {{message: string, phase: "waiting" | "loading" | "reading" | "writing", done?: number, total?: number,
 *   tokens_per_s?: number | null, seconds_left?: number | null, place?: number}} Progress
 *
 * @typedef {{name: string, file: string, bytes: number, type: string | null, architecture: string | null,
 *   family: string | null, parameters: number | null, context: number | null, licence: string | null,
 *   limits_text: string | null, state: "idle" | "loading" | "loaded" | "failed",
 *   progress: {done: number, total: number, seconds_left: number | null} | null, memory_bytes: number | null,
 *   needs_bytes: number | null, free_bytes?: number | null, fits: boolean | null, error: ErrorBody | null,
 *   preset: Sampling | null, has_template: boolean}} Model
 *
 * @typedef {{id: string, kind: "convert" | "pull", source: string,
 *   state: "waiting" | "running" | "finished" | "failed" | "cancelled",
 *   progress: {stage: string, done: number, total: number, seconds_left: number | null} | null,
 *   result: any, error: ErrorBody | null}} Job
 *
 * @typedef {{path: string, parent: string | null, folders: string[], models: {name: string, bytes: number}[],
 *   checkpoints: {name: string, form: string}[]}} Folder
 *
 * @typedef {{tokens: number, used: number, context: number, reserve: number, fits: boolean, dropped: string[],
 *   cut_text_at: number | null}} Measure
 *
 * @typedef {{chat: string, title: string, message: string | null, parts: [string, boolean][]}} Hit
 *
 * @typedef {{language?: string | null, theme?: string | null, wrap_code?: boolean | null, model?: string | null}} Settings
 *
 * @typedef {{version: string, language: string, languages: string[], settings: Settings, models: Model[], jobs: Job[],
 *   folders_allowed: boolean, data_folder: string | null}} ServerState
 *
 * @typedef {{id: string | null, model: string | null, system: string, settings: Sampling}} OpenChat
 */

export {};
