#!/bin/sh
# A client for ptqd: sends files once, submits jobs, follows them, fetches what they made.
#
#   ptq.sh put FILE...                    models and data sets, by content; prints their ids
#   ptq.sh submit SPEC [--follow]         a specification as `ptqd run` takes it: files by path
#   ptq.sh ls [STATE]                     jobs, newest first: id, state, owner, progress, name
#   ptq.sh find TEXT                      those with it in id, name, owner, label or model's name
#   ptq.sh show JOB|RUN                   the document
#   ptq.sh follow JOB                     a progress bar until the job ends
#   ptq.sh report JOB                     the table of its variants
#   ptq.sh fetch JOB|RUN [DIR]            artifacts and reports; files that are there are not sent again
#   ptq.sh cancel JOB | retry JOB | rm JOB
#   ptq.sh priority JOB NUMBER            higher ones go first
#   ptq.sh me                             who you are to the daemon, and what you may still take
#   ptq.sh --help                         this
#
# PTQD_URL is the daemon (http://127.0.0.1:8470), PTQD_TOKEN the token where it wants one. Needs
# curl and jq. `. ptq.bash-completion` lets bash complete it. Status: 0, 1 for what the daemon
# refuses or a job that did not succeed, 2 for a wrong call.
set -eu
url=${PTQD_URL:-http://127.0.0.1:8470}
url=${url%/} # as a browser shows it
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM

show_help() {
    sed -n '2,/^set -eu/{/^#/s/^# \{0,1\}//p;}' "$0"
}

# A wrong call: what is wrong with it.
usage() {
    echo "ptq: $*; \`$(basename -- "$0") --help\` lists the calls" >&2
    exit 2
}

fail() {
    echo "ptq: $*" >&2
    exit 1
}

# The token goes through a file: other users of this machine can read a command line.
if [ -n "${PTQD_TOKEN-}" ]; then
    (umask 077 && printf 'header = "Authorization: Bearer %s"\n' "$PTQD_TOKEN" >"$work/curlrc")
else
    : >"$work/curlrc"
fi

# The body goes to $work/answer, and its status to `status`.
call() {
    status=$(curl -sS -K "$work/curlrc" -o "$work/answer" -w '%{http_code}' "$@") ||
        fail "$url does not answer"
}

# What people wrote may have characters that a terminal obeys, or that turn the text.
shown='def shown: gsub("[\\p{Cc}\\p{Cf}]"; "\ufffd");'

# The daemon's own words, in one line.
problem() {
    jq -r "$shown"' [.title, .detail, .pointer] | map(select(. != null and . != "")) | join(": ")
        | shown' "$work/answer" 2>/dev/null || echo "no answer of ptqd"
}

# A call that has to succeed.
ask() {
    call "$@"
    case $status in
    2??) ;;
    *) fail "HTTP status $status: $(problem)" ;;
    esac
}

# Networks begin otherwise than NumPy's files: `.npy` says so in its magic, `.npz` is a zip.
kind_of() {
    case $(od -An -c -N6 -- "$1" | tr -d ' \n') in
    '223NUMPY' | '\223NUMPY' | 'PK'*) echo datasets ;;
    *) echo models ;;
    esac
}

# The id of a file; what the daemon has is not sent. Further arguments are the query.
put() {
    [ -r "$1" ] || fail "$1 can't be read"
    digest=$(sha256sum <"$1") || fail "$1 can't be read"
    id=sha256:${digest%% *}
    kind=$(kind_of "$1")
    call "$url/v1/$kind/$id"
    case $status in
    200) [ -z "${2-}" ] || status=404 ;; # another scale is another data set
    esac
    case $status in
    200) ;;
    404)
        bar=-s
        [ -t 2 ] && bar=--progress-bar
        name=$(basename -- "$1" | jq -sRr 'rtrimstr("\n") | @uri')
        # shellcheck disable=SC2086  # one option
        status=$(curl $bar -S -K "$work/curlrc" -o "$work/answer" -w '%{http_code}' \
            -H 'Content-Type: application/octet-stream' --data-binary "@$1" \
            "$url/v1/$kind?name=$name${2:+&$2}") || fail "$1 was not sent"
        case $status in
        2??) id=$(jq -r .id "$work/answer") ;;
        *) fail "$1: HTTP status $status: $(problem)" ;;
        esac
        ;;
    *) fail "$1: HTTP status $status: $(problem)" ;;
    esac
    echo "$id"
}

# A path in the specification is relative to it; what is an id stays.
place_of() {
    case $1 in
    sha256:*) echo "$1" ;;
    /*) put "$1" ;;
    *) put "$folder/$1" ;;
    esac
}

# The file that a member of the specification names: a string, or an object with "path" and "labels".
resolve() {
    jq -c --arg m "$1" '.[$m] // empty' "$work/spec" >"$work/member"
    type=$(jq -r type "$work/member")
    case $type in
    string | object) ;;
    *) return 0 ;; # not there, or the daemon has a word for it
    esac
    if [ "$type" = string ]; then
        place_of "$(jq -r . "$work/member")" >"$work/id"
        jq --arg m "$1" --rawfile id "$work/id" '.[$m] = ($id | rtrimstr("\n"))' "$work/spec" \
            >"$work/next"
        mv "$work/next" "$work/spec"
        return 0
    fi
    for part in path labels; do
        file=$(jq -r --arg p "$part" '.[$p] | strings' "$work/member")
        [ -n "$file" ] || continue
        place_of "$file" >"$work/id"
        jq --arg m "$1" --arg p "$part" --rawfile id "$work/id" \
            '.[$m] |= (del(.[$p]) + {(if $p == "path" then "id" else $p end): ($id | rtrimstr("\n"))})' \
            "$work/spec" >"$work/next"
        mv "$work/next" "$work/spec"
    done
}

# The key is the digest of what is sent: a call that is repeated finds the job it made.
submit() {
    case ${2-} in
    --follow | '') ;;
    *) usage "\"$2\" is not an option of submit; --follow is" ;;
    esac
    [ -r "$1" ] || fail "$1 can't be read"
    folder=$(dirname -- "$1")
    jq . <"$1" >"$work/spec" || fail "$1 is not JSON"
    [ "$(jq -r type "$work/spec")" = object ] || fail "$1 is no specification, which is a JSON object"
    for member in model calibration evaluation; do
        resolve "$member"
    done
    key=$(sha256sum <"$work/spec")
    ask "$url/v1/jobs" -H "Idempotency-Key: ${key%% *}" -H 'Content-Type: application/json' \
        --data-binary "@$work/spec"
    job=$(jq -r .id "$work/answer")
    echo "$job"
    [ -z "${2-}" ] || follow "$job"
}

# Forty places, done runs and shares of running ones.
bar() {
    awk -v f="$1" 'BEGIN { n = int(40 * f + 0.5); for (i = 0; i < 40; i++) printf i < n ? "#" : "." }'
}

# A daemon that restarts is away for a moment: what has answered once is asked for a minute.
follow() {
    followed=$1
    trap 'echo >&2; echo "ptq: $followed goes on without you; ptq follow $followed" >&2; exit 130' INT TERM
    again=
    wait=0
    while :; do
        # shellcheck disable=SC2086  # options
        ask $again "$url/v1/jobs/$1?wait=$wait"
        wait=2
        again='--no-show-error --retry 60 --retry-delay 1 --retry-max-time 60 --retry-all-errors'
        state=$(jq -r .state "$work/answer")
        fraction=$(jq -r '.progress.fraction // 0' "$work/answer")
        runs=$(jq -r '.progress | "\(.succeeded + .failed + .cancelled) of \(.runs) runs"' "$work/answer")
        line=$(printf '%s [%s] %3d %%  %s' "$1" "$(bar "$fraction")" \
            "$(awk -v f="$fraction" 'BEGIN { printf "%d", 100 * f }')" "$runs, $state")
        [ ! -t 2 ] || printf '\r%s\033[K' "$line" >&2
        case $state in
        succeeded | failed | cancelled | partial) break ;;
        esac
    done
    if [ -t 2 ]; then echo >&2; else echo "$line" >&2; fi
    [ "$state" = succeeded ] || fail "$1 is $state$(jq -r "$shown"' .problem.detail // empty
        | ": " + shown' "$work/answer")"
}

# `$1`: a filter of the query string.
list() {
    next=
    while :; do
        ask "$url/v1/jobs?limit=100${1:+&$1}${next:+&cursor=$next}"
        jq -r "$shown"' .items[] | [.id, .state, (.owner // ""),
            "\((.progress.fraction // 0) * 100 | floor) %", .name] | map(shown) | @tsv' "$work/answer"
        next=$(jq -r '.next // empty' "$work/answer")
        [ -n "$next" ] || break
    done
}

# Jobs are j1, their runs j1-v000-s0.
path_of() {
    case $1 in
    j*-v*-s*) echo "/v1/runs/$1" ;;
    j*) echo "/v1/jobs/$1" ;;
    *) usage "\"$1\" is neither a job, as j1, nor a run, as j1-v000-s0" ;;
    esac
}

# One artifact: left alone when it is there whole, continued when a part of it is. All of it may be
# in the part; there is nothing to ask for then.
fetch_file() {
    if [ -f "$2" ] && [ "$(digest_of "$2")" = "$3" ]; then
        return 0
    fi
    if [ -f "$2.part" ] && [ "$(digest_of "$2.part")" = "$3" ]; then
        mv "$2.part" "$2"
        echo "$2"
        return 0
    fi
    status=$(curl -sS -K "$work/curlrc" -C - -o "$2.part" -w '%{http_code}' "$url$1") ||
        fail "$2 did not arrive; a further call goes on with it"
    case $status in
    200 | 206) ;;
    *)
        rm -f "$2.part"
        fail "$2: HTTP status $status"
        ;;
    esac
    if [ "$(digest_of "$2.part")" != "$3" ]; then
        rm -f "$2.part"
        fail "$2: what came is not what the daemon has"
    fi
    mv "$2.part" "$2"
    echo "$2"
}

digest_of() {
    digest=$(sha256sum <"$1")
    echo "sha256:${digest%% *}"
}

fetch_run() {
    mkdir -p "$2"
    ask "$url/v1/runs/$1/artifacts"
    jq -r '.items[] | [.name, .id] | @tsv' "$work/answer" >"$work/artifacts"
    while IFS="$(printf '\t')" read -r name id; do
        fetch_file "/v1/runs/$1/artifacts/$name" "$2/$name" "$id"
    done <"$work/artifacts"
}

fetch() {
    folder=${2:-$1}
    case $folder in
    -*) folder=./$folder ;; # not an option of what makes it
    esac
    case $1 in
    j*-v*-s*)
        fetch_run "$1" "$folder"
        return
        ;;
    esac
    mkdir -p "$folder"
    for form in json:application/json csv:text/csv md:text/markdown; do
        ask "$url/v1/jobs/$1/report" -H "Accept: ${form#*:}"
        cp "$work/answer" "$folder/report.${form%%:*}"
    done
    next=
    while :; do
        ask "$url/v1/jobs/$1/runs?state=succeeded&limit=100${next:+&cursor=$next}"
        next=$(jq -r '.next // empty' "$work/answer")
        jq -r '.items[].id' "$work/answer" >"$work/runs"
        while read -r run; do
            fetch_run "$run" "$folder/$run"
        done <"$work/runs"
        [ -n "$next" ] || break
    done
}

me() {
    ask "$url/v1/me"
    jq -r "$shown"' "\(.owner | shown) (\(.role))",
        (.used | keys_unsorted[]) as $k | "\($k): \(.used[$k]) of \(.quotas[$k] // "any number")"' \
        "$work/answer"
}

[ $# -ge 1 ] || usage "a call is missing"
command=$1
shift
case $command:$# in
put:0) usage "put: the files are missing" ;;
put:*)
    for file in "$@"; do
        put "$file"
    done
    ;;
submit:1 | submit:2) submit "$@" ;;
ls:0) list ;;
ls:1) list "state=$1" ;;
find:1) list "text=$(printf %s "$1" | jq -sRr @uri)" ;;
show:1)
    path=$(path_of "$1")
    ask "$url$path"
    jq . "$work/answer"
    ;;
follow:1) follow "$1" ;;
report:1)
    ask "$url/v1/jobs/$1/report" -H 'Accept: text/markdown'
    cat "$work/answer"
    ;;
fetch:1 | fetch:2) fetch "$@" ;;
cancel:1 | retry:1) ask -X POST "$url/v1/jobs/$1/$command" ;;
priority:2)
    jq -n --arg p "$2" '{priority: ($p | tonumber? // $p)}' >"$work/patch"
    ask -X PATCH "$url/v1/jobs/$1" -H 'Content-Type: application/json' \
        --data-binary "@$work/patch"
    ;;
me:0) me ;;
rm:1) ask -X DELETE "$url/v1/jobs/$1" ;;
--help:0 | -h:0 | help:0) show_help ;;
submit:* | ls:* | find:* | show:* | follow:* | report:* | fetch:* | cancel:* | retry:* | \
    priority:* | me:* | rm:*)
    usage "$command takes other arguments"
    ;;
*) usage "\"$command\" is not a call" ;;
esac
