#include "route_path.h"

#include "support.h"

#include "ptqd/base/text.h"

#include <string.h>

const char *route_path(struct arena *arena, const struct http_route *route, const char *id,
                       const char *name)
{
    const char *path = "";
    for (const char *at = route->pattern; *at != '\0';) {
        size_t plain = strcspn(at, "{");
        const char *value = "";
        if (text_has_prefix(at + plain, "{id}"))
            value = id;
        else if (text_has_prefix(at + plain, "{name}"))
            value = name;
        else
            ck_assert_msg(at[plain] == '\0', "%s is neither {id} nor {name}", at + plain);
        path = arena_printf(arena, NULL, "%s%.*s%s", path, (int)plain, at, value);
        ck_assert_ptr_nonnull(path);
        at += plain + strcspn(at + plain, "}");
        at += *at == '}';
    }
    return path;
}
