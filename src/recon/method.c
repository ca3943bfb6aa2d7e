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

int64_t method_iterations(const struct method_options *options, int64_t own)
{
    double iterations = (double)(options->iterations > 0 ? options->iterations : own);
    iterations *= options->effort;
    return iterations > 1.0 ? (int64_t)iterations : 1;
}

double method_learning_rate(const struct method_options *options, double own)
{
    return options->learning_rate > 0.0 ? options->learning_rate : own;
}

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
