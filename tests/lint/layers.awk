# Checks of single lines, for layers.sh: includes, banned functions, allocation, leftovers.
# Variables: root (of the tree, removed from messages). Reads C files; prints one line a violation.

BEGIN {
    # What the files of a room may include from other rooms.
    may["base"] = ""
    may["kern"] = "base"
    may["nn"] = "base kern"
    may["quant"] = "base kern nn"
    may["recon"] = "base kern nn quant"
    may["artifact"] = "base nn quant"
    may["flow"] = "base nn quant recon artifact"
    may["json"] = "base"
    may["store"] = "base"
    may["jobs"] = "base json store flow/pipeline.h"
    may["http"] = "base json"
    may["api"] = "base nn quant recon artifact flow json store jobs http"
    may["daemon"] = "base kern nn quant recon artifact flow json store jobs http api"

    # Libraries that only some rooms know.
    owner["oneapi/dnnl"] = "kern"
    owner["dnnl"] = "kern"
    owner["cjson"] = "json"
    owner["cJSON"] = "json"
    owner["sqlite3"] = "store"
    owner["microhttpd"] = "http"
    owner["gnutls"] = "base http"

    word = "(^|[^A-Za-z0-9_])"
    banned = word "(strcpy|strcat|sprintf|vsprintf|strncpy|strtok|gets|atoi|alloca) *\\("
    allocates = word "(malloc|calloc|realloc|reallocarray|aligned_alloc|posix_memalign|memalign" \
                "|strdup|strndup|asprintf|vasprintf) *\\("
}

function report(message) {
    printf "%s:%d: %s\n", name, FNR, message
}

function has_word(list, wanted,    words, count, i) {
    count = split(list, words, " ")
    for (i = 1; i <= count; i++)
        if (words[i] == wanted)
            return 1
    return 0
}

# The line without comments and without what stands between quotes.
function code_of(line,    result, c, two, quote) {
    result = ""
    quote = ""
    while (line != "") {
        c = substr(line, 1, 1)
        two = substr(line, 1, 2)
        if (in_comment) {
            if (two == "*/") {
                in_comment = 0
                line = substr(line, 3)
                continue
            }
        } else if (quote != "") {
            if (c == "\\") {
                line = substr(line, 3)
                continue
            }
            if (c == quote)
                quote = ""
        } else if (two == "/*") {
            in_comment = 1
            line = substr(line, 3)
            continue
        } else if (two == "//") {
            break
        } else if (c == "\"" || c == "'") {
            quote = c
            result = result c
        } else {
            result = result c
        }
        line = substr(line, 2)
    }
    return result
}

function check_project_include(path,    parts, target) {
    split(path, parts, "/")
    target = parts[2]
    if (room == "" || target == room || has_word(may[room], target))
        return
    if (has_word(may[room], substr(path, 6)))
        return
    report("room '" room "' may not include \"" path "\"; it may include: " may[room])
}

function check_system_include(path,    prefix) {
    for (prefix in owner)
        if (room != "" && index(path, prefix) == 1 && path ~ ("^" prefix "[./_]") &&
            !has_word(owner[prefix], room))
            report("room '" room "' may not include <" path ">; only: " owner[prefix])
}

function check_include(line,    path) {
    path = line
    sub(/^ *# *include *[<"]/, "", path)
    sub(/[>"].*$/, "", path)
    if (path ~ /^ptqd\//)
        check_project_include(path)
    else if (path ~ /\.\./)
        report("an include with '..'; includes are rooted: \"ptqd/room/name.h\"")
    else
        check_system_include(path)
}

FNR == 1 {
    name = substr(FILENAME, length(root) + 2)
    room = ""
    if (name ~ /^(src|include\/ptqd)\//) {
        room = name
        sub(/^(src|include\/ptqd)\//, "", room)
        sub(/\/.*$/, "", room)
        if (!(room in may)) {
            report("'" room "' is not a room")
            room = ""
        }
    }
    in_comment = 0
    function_name = ""
}

/^ *# *include/ { check_include($0) }

/^ *# *if 0/ { report("code that is switched off: #if 0") }

/(^|[^A-Za-z])(TODO|FIXME)([^A-Za-z]|$)/ { report("a note to do something: do it or leave it out") }

{
    code = code_of($0)
    if (code ~ banned)
        report("a banned function: " $0)

    # A function begins in the first column and has its name before the first parenthesis.
    if (code ~ /^[A-Za-z_].*\(/ && code !~ /^(else|return|if|for|while|switch)/) {
        function_name = code
        sub(/\(.*$/, "", function_name)
        sub(/^.*[^A-Za-z0-9_]/, "", function_name)
    }
    # What allocates is named after it, by the first verb of a pair that a second one undoes.
    if (name ~ /^src\// && code ~ allocates && !has_word(allocators, name) &&
        function_name !~ /(^|_)(create|open|init|start)(_|$)/)
        report("'" function_name "' allocates; only …_create, _open, _init and _start may: " $0)
}
