#pragma once

/* Bearer tokens. Only the SHA-256 of a token is stored. */

#include "ptqd/store/quota.h"

struct token_row {
    const char *name;   /* unique; the owner of what is submitted with it */
    const char *role;   /* "read", "submit", "admin" */
    const char *digest; /* hex SHA-256 of the token */
    struct quota quota; /* of its owner; 0: the store's limit, QUOTA_NONE: none */
    int64_t created_ms; /* set by token_row_insert */
};

/* In a write. E_CONFLICT when the name is taken. */
bool token_row_insert(struct database *database, const struct token_row *row, struct error *err);
/* In a write: the token gets the role and the quota of the row; the rest of it stays. E_NOT_FOUND
 * without it. */
bool token_row_change(struct database *database, const struct token_row *row, struct error *err);
/* Is there any token? */
bool token_row_any(struct database *database, bool *out_any, struct error *err);
/* The token with this digest; `*out_found` false without it. */
bool token_row_find(struct database *database, const char *digest, struct arena *arena,
                    struct token_row *out_row, bool *out_found, struct error *err);
/* All tokens, ordered by name. */
bool token_row_list(struct database *database, struct arena *arena, struct token_row **out_rows,
                    size_t *out_count, struct error *err);
/* In a write. E_NOT_FOUND without it. */
bool token_row_delete(struct database *database, const char *name, struct error *err);
