// Blocks of the answers that are being written: kept by message, handed to whoever shows that message.

/** @type {Map<string, string[]>} */
const blocksOf = new Map();
/** @type {Map<string, (from: number, blocks: string[]) => void>} */
const listeners = new Map();

/**
 * New blocks in place of those from an index on.
 * @param {string} message
 * @param {number} from
 * @param {string[]} blocks
 */
export function showBlocks(message, from, blocks) {
  const known = blocksOf.get(message) ?? [];
  blocksOf.set(message, [...known.slice(0, from), ...blocks]);
  listeners.get(message)?.(from, blocks);
}

/**
 * @param {string} message
 * @param {string[]} blocks what the server says it has
 * @returns {string[]} the longer of that and what came as events meanwhile
 */
export function knownBlocks(message, blocks) {
  const known = blocksOf.get(message);
  return known && known.length >= blocks.length ? known : blocks;
}

/**
 * @param {string} message
 * @param {(from: number, blocks: string[]) => void} listener
 */
export function onBlocks(message, listener) {
  listeners.set(message, listener);
}

/** @param {string} message */
export function forgetBlocks(message) {
  listeners.delete(message);
  blocksOf.delete(message);
}
