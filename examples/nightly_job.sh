#!/bin/sh
# Answer the files of a folder at night. `crontab -e` begins it at ten each evening, for eight hours at most:
#
#     0 22 * * *  /home/me/nightly_job.sh /home/me/belle-7b.gguf /home/me/inbox /home/me/outbox 8h >> /home/me/nightly.log 2>&1
#
# INBOX holds files for `belle-edge batch`; an answered one goes to INBOX/done, its answers to OUTBOX. What is not done
# in the morning goes on in the next night, where it was: after the time, a crash or a power cut.
set -u
model=$1 inbox=$2 outbox=$3 time=${4:-8h}
options='--max-tokens 200'
mkdir -p "$inbox/done" "$outbox" || exit 1

answer_all() {
    for file in "$inbox"/*; do
        [ -f "$file" ] || continue
        name=$(basename "$file")
        # shellcheck disable=SC2086 # several words
        belle-edge batch "$model" "$file" -o "$outbox/${name%.*}.jsonl" --resume $options
        case $? in
            0 | 3) mv "$file" "$inbox/done/" && echo "$(date '+%F %T') $name: done" ;;
            130) return ;; # the time is up: the next night goes on
            *) echo "$(date '+%F %T') $name: stays, see above" ;;
        esac
    done
}

if [ -n "${NIGHTLY_JOB_INSIDE:-}" ]; then
    answer_all
else # coreutils' timeout sends Ctrl-C when the time is up, to all that it started
    NIGHTLY_JOB_INSIDE=1 timeout --signal=INT "$time" sh "$0" "$@"
    [ $? = 124 ] && echo "$(date '+%F %T') the time is up" || exit 0
fi
