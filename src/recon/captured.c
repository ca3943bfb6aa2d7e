#include "ptqd/recon/captured.h"

#include <string.h>

struct captured captured_values(float *values, int64_t samples, int64_t elements)
{
    return (struct captured){.samples = samples, .elements = elements, .values = values};
}

static uint64_t offset_of(const struct captured *captured, int64_t first)
{
    int64_t row = captured->constant ? 0 : first;
    return (uint64_t)(row * captured->elements) * sizeof(float);
}

static size_t bytes_of(const struct captured *captured, int64_t count)
{
    int64_t rows = captured->constant ? 1 : count;
    return (size_t)(rows * captured->elements) * sizeof(float);
}

const float *captured_read(const struct captured *captured, int64_t first, int64_t count,
                           float *buffer, struct error *err)
{
    if (captured->values != NULL)
        return captured->values + offset_of(captured, first) / sizeof(float);
    if (captured->spill != NULL)
        return spill_read(captured->spill, offset_of(captured, first), buffer,
                          bytes_of(captured, count), err)
                   ? buffer
                   : NULL;
    for (int64_t i = 0; i < count; i++)
        samples_read(captured->source, captured->first + first + i,
                     buffer + i * captured->elements);
    return buffer;
}

float *captured_place(const struct captured *captured, int64_t first, float *buffer)
{
    return captured->values != NULL ? captured->values + offset_of(captured, first) / sizeof(float)
                                    : buffer;
}

bool captured_write(const struct captured *captured, int64_t first, int64_t count,
                    const float *values, struct error *err)
{
    return captured->values != NULL || spill_write(captured->spill, offset_of(captured, first),
                                                   values, bytes_of(captured, count), err);
}

bool captured_copy(const struct captured *captured, float *out, struct error *err)
{
    const float *values = captured_read(captured, 0, captured->samples, out, err);
    if (values != NULL && values != out)
        memcpy(out, values, bytes_of(captured, captured->samples));
    return values != NULL;
}

bool captured_open(const struct captured *captured, int64_t most, struct arena *arena,
                   struct captured_reader *out_reader, struct error *err)
{
    struct captured_reader reader = {.of = captured};
    if (!captured_resident(captured)) {
        reader.buffer = ARENA_ARRAY(arena, float, most * captured->elements, err);
        if (reader.buffer == NULL)
            return false;
    }
    *out_reader = reader;
    return true;
}

int64_t captured_chunk(int64_t elements)
{
    enum { CHUNK_FLOATS = 1 << 21, CHUNK_MAX = 1024 };
    int64_t chunk = elements > 0 ? CHUNK_FLOATS / elements : CHUNK_MAX;
    return chunk < 1 ? 1 : chunk > CHUNK_MAX ? CHUNK_MAX : chunk;
}
