#!/bin/sh
# The client script against the real daemon.
#
#   test_ptq.sh PTQD MAKE_MOTION PTQ
#
# Laws: what the daemon has is not sent again; a call that is repeated submits nothing new; fetched
# artifacts are the daemon's, and a fetch that was cut goes on; what the daemon refuses is said in its
# own words, with status 1; a wrong call has status 2. Skipped without curl and jq.
set -u
ptqd=$1
motion=$2
ptq=$(realpath "$3")
out=$(mktemp -d)
# shellcheck source=tests/daemon/served.sh
. "$(dirname "$0")/served.sh"
export PTQD_URL="$url"

cat >"$out/motion/spec.json" <<'EOF'
{"model": "model.onnx", "calibration": "calib.npy",
 "evaluation": {"path": "test_x.npy", "labels": "test_y.npy"}, "seeds": 2,
 "pipeline": {"weights": {"bits": [2, 4]}, "postprocess": {"bias": "none"}}}
EOF

sh "$ptq" put "$out/motion/model.onnx" >"$out/first" || fail "put fails"
sh "$ptq" put "$out/motion/model.onnx" >"$out/second" || fail "put of what is known fails"
cmp "$out/first" "$out/second" || fail "the two ids differ"
stored=$(curl -s "$url/v1/models" | jq '.items | length')
[ "$stored" = 1 ] || fail "$stored models are stored"

job=$(sh "$ptq" submit "$out/motion/spec.json") || fail "submit fails"
again=$(sh "$ptq" submit "$out/motion/spec.json" --follow 2>"$out/bar") || fail "submit again fails"
[ "$job" = "$again" ] || fail "submitting twice makes two jobs"
grep -q '100 %  4 of 4 runs, succeeded$' "$out/bar" || fail "the bar is: $(cat "$out/bar")"
sh "$ptq" ls succeeded | grep -q "^$job	succeeded	" || fail "the list does not have the job"
sh "$ptq" find MODEL.onnx | grep -q "^$job	succeeded	" || fail "the job is not found by its model"
curl -s -X PATCH "$url/v1/jobs/$job" -H 'Content-Type: application/json' \
    -d '{"name": "a\u001b[31m\u202eb"}' >"$out/patched"
sh "$ptq" ls | grep -q "^$job	succeeded	local	100 %	a�\[31m�b\$" || fail "the list is: $(sh "$ptq" ls)"
[ -z "$(sh "$ptq" find 'no & such')" ] || fail "what is not there is found"
PTQD_URL=$url/ sh "$ptq" ls | grep -q "^$job	" || fail "an address that ends in a slash does not do"
[ -z "$(sh "$ptq" ls failed)" ] || fail "a job has failed"
sh "$ptq" report "$job" | grep -q '^| v001' || fail "the report has no second variant"

sh "$ptq" fetch "$job" "$out/got" >"$out/fetched" || fail "fetch fails"
for run in $(curl -s "$url/v1/jobs/$job/runs" | jq -r '.items[].id'); do
    curl -s "$url/v1/runs/$run/artifacts/model.onnx" | cmp - "$out/got/$run/model.onnx" ||
        fail "the artifact of $run differs"
    one=$run
done
[ -s "$out/got/report.csv" ] || fail "there is no report"
head -c 100 "$out/got/$one/model.onnx" >"$out/got/$one/model.onnx.part"
rm "$out/got/$one/model.onnx"
sh "$ptq" fetch "$job" "$out/got" >"$out/fetched" || fail "fetch does not go on"
[ "$(cat "$out/fetched")" = "$out/got/$one/model.onnx" ] || fail "it fetched: $(cat "$out/fetched")"
curl -s "$url/v1/runs/$one/artifacts/model.onnx" | cmp - "$out/got/$one/model.onnx" ||
    fail "the artifact that was continued differs"
mv "$out/got/$one/model.onnx" "$out/got/$one/model.onnx.part"
sh "$ptq" fetch "$one" "$out/got/$one" >"$out/fetched" || fail "what has come but for its name is no file"
printf 'another file' >"$out/got/$one/model.onnx.part"
rm "$out/got/$one/model.onnx"
sh "$ptq" fetch "$one" "$out/got/$one" >"$out/fetched" 2>&1 && fail "a wrong part is accepted"
sh "$ptq" fetch "$one" "$out/got/$one" >"$out/fetched" || fail "it does not start anew"

# Names that look like options.
(
    cd "$out/motion" || exit 1
    cp model.onnx -- -m.onnx
    jq '.model = "-m.onnx"' <spec.json >-s.json
    sh "$ptq" put -m.onnx >"$out/third" || fail "put of -m.onnx fails"
    cmp "$out/first" "$out/third" || fail "the file has another id"
    sh "$ptq" submit -s.json >"$out/again" || fail "-s.json is not the specification"
    sh "$ptq" fetch "$job" -d >"$out/fetched" || fail "fetch to -d fails"
    [ -s ./-d/report.csv ] || fail "nothing is in -d"
) || exit 1

# Of what has failed one learns why; a daemon that restarts meanwhile does not matter.
jq '.seeds = [77]' <"$out/motion/spec.json" >"$out/motion/fails.json"
curl -s -X POST "$url/v1/queue/pause" >"$out/paused"
fails=$(sh "$ptq" submit "$out/motion/fails.json") || fail "the job that fails is refused"
mv "$out/state/blobs" "$out/state/gone"
curl -s -X POST "$url/v1/queue/resume" >"$out/paused"
sh "$ptq" follow "$fails" >"$out/refused" 2>&1 && fail "a failed job is none"
mv "$out/state/gone" "$out/state/blobs"
grep -q "^ptq: $fails is failed: .*there is no file" "$out/refused" ||
    fail "it says: $(cat "$out/refused")"
jq '.seeds = 40 | .pipeline.weights.bits = 3' <"$out/motion/spec.json" >"$out/motion/long.json"
long=$(sh "$ptq" submit "$out/motion/long.json") || fail "the long job is refused"
curl -s -X POST "$url/v1/queue/pause" >"$out/paused"
sh "$ptq" follow "$long" 2>"$out/bar" &
follower=$!
until [ "$(curl -s "$url/metrics" | sed -n 's/^ptqd_http_requests_suspended //p')" = 1 ]; do sleep 0.1; done
kill -9 "$daemon"
wait "$daemon"
"$ptqd" serve --config /dev/null --data "$out/state" --port "$port" 2>>"$out/daemon.log" &
daemon=$!
until curl -sf -o "$out/ready" "$url/readyz"; do sleep 0.1; done
curl -s -X POST "$url/v1/queue/resume" >"$out/paused"
wait "$follower" || fail "follow ends with the daemon: $(cat "$out/bar")"
grep -q '40 of 40 runs, succeeded$' "$out/bar" || fail "the bar is: $(cat "$out/bar")"
sh "$ptq" rm "$long" || fail "rm fails"

refused() {
    wanted=$1
    words=$2
    shift 2
    sh "$ptq" "$@" >"$out/refused" 2>&1
    status=$?
    [ "$status" -eq "$wanted" ] || fail "ptq $*: status $status"
    grep -q "$words" "$out/refused" || fail "ptq $*: $(cat "$out/refused")"
}
refused 1 "HTTP status 404: .*j9" show j9
refused 1 "HTTP status 409: " cancel "$job"
echo 'not a network' >"$out/bad.onnx"
refused 1 "bad.onnx: HTTP status 400: " put "$out/bad.onnx"
echo '{"model": "model.onnx", "calibration": "calib.npy", "pipeline": {"bits": 4}}' >"$out/motion/bad.json"
refused 1 "HTTP status 422: .*bits" submit "$out/motion/bad.json"
refused 1 "can't be read" submit "$out/none.json"
echo '[]' >"$out/motion/list.json"
refused 1 "list.json is no specification" submit "$out/motion/list.json"
echo '{"model": ["a"]}' >"$out/motion/bad.json"
refused 1 "HTTP status 422: .*/model" submit "$out/motion/bad.json"
before=$(curl -s "$url/v1/jobs" | jq '.items | length')
refused 2 '"--folow" is not an option' submit "$out/motion/spec.json" --folow
[ "$(curl -s "$url/v1/jobs" | jq '.items | length')" = "$before" ] || fail "a wrong call submits"
refused 2 "the files are missing" put
refused 2 '"dance" is not a call' dance
refused 2 '"model" is neither a job' show model
refused 2 "show takes other arguments" show
sh "$ptq" --help | grep -q "ptq.sh put FILE" || fail "there is no help"
sh "$ptq" priority "$job" -7 || fail "priority fails"
[ "$(sh "$ptq" show "$job" | jq .priority)" = -7 ] || fail "the job has another priority"
refused 1 "HTTP status 422: .*/priority" priority "$job" 101
refused 1 "HTTP status 422: .*a number is expected" priority "$job" high
sh "$ptq" me >"$out/me" || fail "me fails"
grep -q '^local (admin)$' "$out/me" || fail "me says: $(cat "$out/me")"
grep -q '^queued_runs: 0 of 100000$' "$out/me" || fail "me says: $(cat "$out/me")"
grep -Eq '^stored_bytes: [1-9][0-9]* of any number$' "$out/me" || fail "me says: $(cat "$out/me")"
if command -v bash >/dev/null; then
    # shellcheck disable=SC2016  # it is bash that expands it
    completion='. "$0"; _ptq_jobs'
    PTQD_URL=$url/ bash -c "$completion" "$(dirname "$ptq")/ptq.bash-completion" | grep -qx "$job" ||
        fail "the completion does not know $job"
    mkdir "$out/bin"
    printf '#!/bin/sh\necho "$@" >"%s"\n' "$out/line" >"$out/bin/curl"
    chmod +x "$out/bin/curl"
    PATH="$out/bin:$PATH" PTQD_TOKEN=secret bash -c "$completion" \
        "$(dirname "$ptq")/ptq.bash-completion"
    [ -s "$out/line" ] || fail "the completion does not call curl"
    grep -q secret "$out/line" && fail "others can read the token: $(cat "$out/line")"
fi
sh "$ptq" rm "$job" || fail "rm fails"
PTQD_URL=http://127.0.0.1:1 refused 1 "does not answer" ls
echo "the client works"
