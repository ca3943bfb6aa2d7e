/* The operators of the TFLite schema, by number. */

#include "tflite_import.h"

static const struct tflite_builtin TABLE[] = {
#define BUILTIN(number, operator_name, member, function, type)                                     \
    {.code = number,                                                                               \
     .name = #operator_name,                                                                       \
     .options = member,                                                                            \
     .translate = function,                                                                        \
     .op_type = type},
#define UNSUPPORTED(number, operator_name) {.code = number, .name = #operator_name},
#include "tflite_builtin.def"
#undef BUILTIN
#undef UNSUPPORTED
};

const struct tflite_builtin *tflite_builtin_find(int64_t code)
{
    for (size_t i = 0; i < sizeof(TABLE) / sizeof(TABLE[0]); i++) {
        if (TABLE[i].code == code)
            return &TABLE[i];
    }
    return NULL;
}
