#pragma once

/* JSON Schema, as far as the document of the interface uses it. */

#include "ptqd/json/json.h"

/* The value that "#/components/…" names; NULL when there is none. */
const struct json *schema_resolve(const struct json *document, const char *reference);

/* E_INVALID, with the pointer of the value, when it breaks a rule; E_UNSUPPORTED for a schema with
 * a keyword that is not known here, so that nothing passes because nobody looked. */
bool schema_check(const struct json *document, const struct json *schema, const struct json *value,
                  struct error *err);
