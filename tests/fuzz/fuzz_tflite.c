/* TFLite files: whatever the bytes are, they come with the identifier of the format. */

#include "model_laws.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    enum { IDENTIFIER_AT = 4, IDENTIFIER_BYTES = 4 };
    uint8_t *copy = malloc(size + (size == 0));
    if (!copy)
        return 0;
    if (size > 0)
        memcpy(copy, bytes, size);
    if (size >= IDENTIFIER_AT + IDENTIFIER_BYTES)
        memcpy(copy + IDENTIFIER_AT, "TFL3", IDENTIFIER_BYTES);
    model_laws_check(copy, size);
    free(copy);
    return 0;
}
