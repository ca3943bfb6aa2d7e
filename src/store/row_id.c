#include "row_id.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* Ids are read with sscanf and accepted when they print as they were written: no signs, blanks or
 * leading zeros that another spelling of the same id would have. */

void job_id_print(int64_t number, char out_id[static JOB_ID_BYTES])
{
    (void)snprintf(out_id, JOB_ID_BYTES, "j%" PRId64, number); /* 21 bytes at most */
}

bool job_id_parse(const char *id, int64_t *out_number, struct error *err)
{
    int64_t number;
    char again[JOB_ID_BYTES] = "";
    if (sscanf(id, "j%18" SCNd64, &number) == 1)
        job_id_print(number, again);
    if (strcmp(id, again) != 0 || again[0] == '\0')
        return FAIL(err, E_NOT_FOUND, "there is no job '%s'", id);
    *out_number = number;
    return true;
}

void variant_id(int64_t variant, char out_id[static VARIANT_ID_BYTES])
{
    (void)snprintf(out_id, VARIANT_ID_BYTES, "v%03" PRId64, variant); /* 21 bytes at most */
}

void run_id_print(const struct run_key *key, char out_id[static RUN_ID_BYTES])
{
    char variant[VARIANT_ID_BYTES];
    variant_id(key->variant, variant);
    (void)snprintf(out_id, RUN_ID_BYTES, "j%" PRId64 "-%.20s-s%" PRId64, key->job, variant,
                   key->seed); /* 63 bytes at most */
}

bool run_id_parse(const char *id, struct run_key *out_key, struct error *err)
{
    struct run_key key;
    char again[RUN_ID_BYTES] = "";
    if (sscanf(id, "j%18" SCNd64 "-v%18" SCNd64 "-s%18" SCNd64, &key.job, &key.variant,
               &key.seed) == 3)
        run_id_print(&key, again);
    if (strcmp(id, again) != 0 || again[0] == '\0')
        return FAIL(err, E_NOT_FOUND, "there is no run '%s'", id);
    *out_key = key;
    return true;
}
