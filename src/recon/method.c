/* The registry of reconstruction methods. */

#include "ptqd/recon/method.h"

#include <string.h>

#define METHOD(name) extern const struct method method_##name;
#include "ptqd/recon/methods.def"
#undef METHOD

static const struct method *const methods[] = {
#define METHOD(name) &method_##name,
#include "ptqd/recon/methods.def"
#undef METHOD
    NULL,
};

const struct method *const *method_table(void)
{
    return methods;
}

const struct method *method_find(const char *name)
{
    for (const struct method *const *row = methods; *row; row++)
        if (strcmp((*row)->name, name) == 0)
            return *row;
    return NULL;
}
