/* How a long computation is kept. */

#include "ptqd/recon/keeper.h"

size_t keeper_type_bytes(enum keeper_type type)
{
    static const size_t bytes[KEEP_TYPE_COUNT] = {
        [KEEP_I8] = sizeof(int8_t),    [KEEP_I32] = sizeof(int32_t), [KEEP_I64] = sizeof(int64_t),
        [KEEP_U64] = sizeof(uint64_t), [KEEP_F32] = sizeof(float),   [KEEP_F64] = sizeof(double),
    };
    return bytes[type];
}

bool recon_keeper_load(const struct recon_keeper *keeper, const struct keeper_field *fields,
                       int count, bool *out_found, struct error *err)
{
    *out_found = false;
    return !keeper || keeper->load(keeper->context, fields, count, out_found, err);
}

void recon_keeper_save(const struct recon_keeper *keeper, const struct keeper_field *fields,
                       int count)
{
    if (keeper)
        keeper->save(keeper->context, fields, count);
}
