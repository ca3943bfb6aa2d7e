/* ONNX files. */

#include "model_laws.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    model_laws_check(bytes, size);
    return 0;
}
