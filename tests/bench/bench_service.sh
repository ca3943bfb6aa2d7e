#!/bin/sh
# How fast the service answers, as ratios to what the same machine does in the same minute:
#
#   GET of a job, and of a list of 100 jobs   to nginx with a static file of the same size
#   POST of a job, on disk when answered      to writes of 4 KiB with fdatasync
#   GET of a job while others POST            to the same without them
#   POST of a job when nothing is computed    to writes of 4 KiB with fdatasync
#
#   bench_service.sh PTQD SOURCE_ROOT
#
# Each line has the ratio, the bar, and the figures. The only worker is busy with a first job, so that
# the posted ones stay queued; in the end the queue is paused instead. Needs wrk, curl and the real
# networks (PTQD_TEST_DATA, or beside the source tree), and exits with 77 (skipped) without them; lines
# with nginx need nginx.
set -eu
ptqd=$1
network=${PTQD_TEST_DATA:-$2/../shared/data}/kws
command -v wrk >/dev/null && command -v curl >/dev/null && [ -f "$network/model.onnx" ] || exit 77

dir=$(mktemp -d)
daemon=''
nginx=''
cleanup() {
    [ -z "$nginx" ] || kill "$nginx" 2>/dev/null || :
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

first_id() {
    sed -n 's/^{"id":"\([^"]*\)".*/\1/p'
}

model=$(curl -sSf "$url/v1/models" --data-binary @"$network/model.onnx" | first_id)
calibration=$(curl -sSf "$url/v1/datasets" --data-binary @"$network/calib.npy" | first_id)
data="\"model\":\"$model\",\"calibration\":\"$calibration\",\"seeds\":1"
first=$(curl -sSf "$url/v1/jobs" -d "{$data,\"priority\":100,\"pipeline\":{\"postprocess\":{
    \"epochs\":1000},\"optimize\":{\"iterations\":100000}}}" | first_id)

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

# Writes of 4 KiB a second that are on disk when they return.
syncs() {
    dd if=/dev/zero of="$dir/sync" bs=4k count=1000 oflag=dsync 2>&1 |
        awk '/copied/ { for (i = 1; i < NF; i++) if ($(i + 1) ~ /^s,?$/) printf "%.1f", 1000 / $i }'
}

# rate CONNECTIONS SCRIPT URL: requests a second, and on standard error when some were refused.
rate() {
    wrk -t1 -c"$1" -d4s -s "$2" "$3" | awk '/Requests\/sec/ { rate = $2 }
        /not 2xx/ && ($1 > 0 || $4 > 0) { print > "/dev/stderr" } END { print rate }'
}

# ratio NAME BAR RATE OTHER_NAME OTHER_RATE
ratio() {
    awk -v name="$1" -v bar="$2" -v rate="$3" -v other="$4" -v to="$5" 'BEGIN {
        printf "%-36s %6.2f (bar %s%s): %.0f /s, %s %.0f /s\n", name, rate / to, bar,
            rate / to < bar ? ", missed" : "", rate, other, to }'
}

start_nginx() {
    mkdir "$dir/static"
    curl -sSf "$url/v1/jobs/$first" >"$dir/static/job"
    curl -sSf "$url/v1/jobs?limit=100" >"$dir/static/list"
    nginx_port=$((20000 + $$ % 10000))
    cat >"$dir/nginx.conf" <<CONF
$([ "$(id -u)" -ne 0 ] || echo 'user root;')
worker_processes 2; daemon off; pid $dir/nginx.pid; error_log $dir/nginx.log;
events { worker_connections 512; }
http {
    access_log off; sendfile on; keepalive_requests 1000000000; default_type application/json;
    client_body_temp_path $dir/body; proxy_temp_path $dir/proxy; fastcgi_temp_path $dir/fastcgi;
    uwsgi_temp_path $dir/uwsgi; scgi_temp_path $dir/scgi;
    server { listen 127.0.0.1:$nginx_port; root $dir/static; }
}
CONF
    nginx -c "$dir/nginx.conf" -e "$dir/nginx.log" &
    nginx=$!
    static=http://127.0.0.1:$nginx_port
    tries=0
    until curl -sSf "$static/job" 2>/dev/null | cmp -s - "$dir/static/job"; do
        tries=$((tries + 1))
        [ "$tries" -lt 50 ] || { cat "$dir/nginx.log" >&2; exit 1; }
        sleep 0.1
    done
}

# versus_nginx NAME TARGET FILE
versus_nginx() {
    ours=$(rate 32 "$dir/bad.lua" "$url$2")
    ratio "$1" 0.6 "$ours" "nginx" "$(rate 32 "$dir/bad.lua" "$static/$3")"
}

i=0
while [ $((i += 1)) -le 120 ]; do
    curl -sSf "$url/v1/jobs" -d "{$data}" >/dev/null
done
if command -v nginx >/dev/null; then
    start_nginx
    versus_nginx "GET of a job" "/v1/jobs/$first" job
    versus_nginx "GET of 100 jobs" "/v1/jobs?limit=100" list
fi

posts=$(rate 32 "$dir/post.lua" "$url/v1/jobs")
ratio "POST of a job, 32 clients" 8 "$posts" "fdatasync" "$(syncs)"

quiet=$(rate 16 "$dir/bad.lua" "$url/v1/jobs/$first")
wrk -t1 -c16 -d7s -s "$dir/post.lua" "$url/v1/jobs" >"$dir/flood" &
flood=$!
sleep 1
ratio "GET of a job while 16 clients POST" 0.6 "$(rate 16 "$dir/bad.lua" "$url/v1/jobs/$first")" \
    "without" "$quiet"
wait "$flood"

curl -sSf -X POST "$url/v1/queue/pause" >/dev/null
curl -sSf -X POST "$url/v1/jobs/$first/cancel" >/dev/null
sleep 1
posts=$(rate 32 "$dir/post.lua" "$url/v1/jobs")
ratio "POST of a job, nothing computed" 8 "$posts" "fdatasync" "$(syncs)"
