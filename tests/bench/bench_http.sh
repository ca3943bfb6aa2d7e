#!/bin/sh
# Requests per second of the daemon: GET of a job, POST of jobs (each one on disk when it is
# answered), and GETs while others POST, beside what one fdatasync takes in the same minute.
#
#   bench_http.sh PTQD SOURCE_ROOT
#
# The only worker is busy with a first job all the time, so that the posted ones stay queued. Needs
# wrk, curl and the real networks (PTQD_DATA, or beside the source tree); exits with 77 (skipped)
# without them.
set -eu
ptqd=$1
network=${PTQD_DATA:-$2/../shared/data}/kws
command -v wrk >/dev/null && command -v curl >/dev/null && [ -f "$network/model.onnx" ] || exit 77

dir=$(mktemp -d)
daemon=
cleanup() {
    [ -z "$daemon" ] || kill "$daemon" 2>/dev/null || :
    wait
    rm -rf "$dir"
}
trap cleanup EXIT
trap 'exit 130' INT TERM

env -i PATH="$PATH" "$ptqd" serve --config /dev/null --data "$dir/state" --port 0 --workers 1 \
    --queued-runs unlimited --log-level info 2>"$dir/log" &
daemon=$!
tries=0
until port=$(sed -n 's/.*msg="listening".* port=\([0-9]*\).*/\1/p' "$dir/log") && [ -n "$port" ]; do
    tries=$((tries + 1))
    [ "$tries" -lt 100 ] || exit 1
    sleep 0.1
done
url=http://127.0.0.1:$port

id() {
    sed -n 's/^{"id":"\([^"]*\)".*/\1/p'
}

model=$(curl -sSf "$url/v1/models" --data-binary @"$network/model.onnx" | id)
calibration=$(curl -sSf "$url/v1/datasets" --data-binary @"$network/calib.npy" | id)
data="\"model\":\"$model\",\"calibration\":\"$calibration\",\"seeds\":1"
first=$(curl -sSf "$url/v1/jobs" -d "{$data,\"priority\":100,\"pipeline\":{\"postprocess\":{
    \"epochs\":1000},\"optimize\":{\"iterations\":100000}}}" | id)

cat >"$dir/post.lua" <<LUA
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
wrk.body = [[{$data}]]
LUA
cat >"$dir/bad.lua" <<'LUA'
done = function(summary, latency, requests)
    local e = summary.errors
    io.write(string.format("%d not 2xx, %d time-outs\n", e.status, e.timeout))
end
LUA
cat "$dir/bad.lua" >>"$dir/post.lua"

# Milliseconds of one write of 4 KiB that is on disk when it returns.
sync_ms() {
    dd if=/dev/zero of="$dir/sync" bs=4k count=200 oflag=dsync 2>&1 |
        awk '/copied/ { for (i = 1; i < NF; i++) if ($(i + 1) ~ /^s,?$/) printf "%.2f", 1000 * $i / 200 }'
}

# figures NAME CONNECTIONS SCRIPT TARGET
figures() {
    wrk -t1 -c"$2" -d5s --latency -s "$3" "$url$4" |
        awk -v name="$1" '/99%/ { p99 = $2 } /Requests\/sec/ { rate = $2 } /not 2xx/ { bad = $0 }
            END { printf "%-44s %10.0f /s   p99 %s   (%s)\n", name, rate, p99, bad }'
}

echo "one write of 4 KiB with fdatasync: $(sync_ms) ms"
figures "GET /v1/jobs/{id}, 32 connections" 32 "$dir/bad.lua" "/v1/jobs/$first"
figures "GET /healthz, 32 connections" 32 "$dir/bad.lua" /healthz
figures "POST /v1/jobs, 32 connections" 32 "$dir/post.lua" /v1/jobs
wrk -t1 -c16 -d7s -s "$dir/post.lua" "$url/v1/jobs" >"$dir/flood" &
flood=$!
sleep 1
figures "GET /v1/jobs/{id} while 16 connections POST" 16 "$dir/bad.lua" "/v1/jobs/$first"
wait "$flood"
echo "one write of 4 KiB with fdatasync: $(sync_ms) ms"
