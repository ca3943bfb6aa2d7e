# Counts the tests of a log of meson (testlog.json, one object a line) and shows what failed.
#
# A test that speaks TAP counts as its cases, any other as one. A test that failed without a case that
# failed (it crashed, or took too long) counts as one failure more. The three numbers, passed, failed
# and skipped, go to the file `counts`.

# The value of a member, still escaped; the members that are read come before any text of ours but
# stdout, whose quotes are escaped.
function between(line, before, after,    rest) {
    if (!index(line, before))
        return ""
    rest = substr(line, index(line, before) + length(before))
    return substr(rest, 1, index(rest, after) - 1)
}

{
    name = between($0, "{\"name\": \"", "\", \"stdout\"")
    result = between($0, "\", \"result\": \"", "\"")
    count = split(between($0, "\"stdout\": \"", "\", \"result\""), lines, /\\n/)

    ok = not_ok = skip = tap = 0
    for (i = 1; i <= count; i++) {
        if (lines[i] ~ /^1\.\.[0-9]/)
            tap = 1
        else if (lines[i] ~ /^not ok /)
            not_ok++
        else if (lines[i] ~ /^ok .*# *SKIP/)
            skip++
        else if (lines[i] ~ /^ok /)
            ok++
    }
    if (!tap)
        ok = not_ok = skip = 0

    if (result == "SKIP") {
        skipped += skip > 0 ? skip : 1
        print "skipped: " name
    } else if (result == "OK" || result == "EXPECTEDFAIL") {
        passed += tap ? ok : 1
        skipped += skip
    } else {
        passed += ok
        skipped += skip
        failed += not_ok > 0 ? not_ok : 1
        print "FAILED: " name " (" result ")"
        for (i = 1; i <= count && tap; i++)
            if (lines[i] ~ /^not ok /)
                print "    " lines[i]
    }
}

END { print passed + 0, failed + 0, skipped + 0 >counts }
