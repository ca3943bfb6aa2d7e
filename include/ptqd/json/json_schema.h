#pragma once

/* What a JSON object looks like, as a table that stands beside the code that prints or reads it;
 * documents about the interface are made from it (JSON Schema 2020-12). An object has no members
 * but those of its table. */

#include "ptqd/base/param.h"
#include "ptqd/json/json.h"

enum schema_type {
    SCHEMA_STRING,
    SCHEMA_INTEGER,
    SCHEMA_NUMBER,
    SCHEMA_BOOL,
    SCHEMA_TIME,   /* string: RFC 3339 in UTC */
    SCHEMA_ID,     /* string: "sha256:<64 hexadecimal digits>" */
    SCHEMA_SCALAR, /* string, number or boolean */
    SCHEMA_FILE,   /* bytes: a part of a form */
    SCHEMA_OBJECT, /* as `of` says */
};

struct schema;

struct schema_member {
    const char *name; /* NULL ends a table */
    enum schema_type type;
    const struct schema *of;    /* of SCHEMA_OBJECT; of any other: this object may stand for it */
    const char *const *choices; /* of SCHEMA_STRING: NULL-terminated; NULL: any */
    bool list;                  /* an array of such values */
    bool or_list;               /* one such value, or an array of them */
    bool map;                   /* an object with any keys and such values */
    bool null;                  /* or null: not known, or there is none */
    bool optional;              /* may be left out */
    const char *help;           /* a sentence without its full stop; NULL: the name says it */
};

struct schema {
    const char *name;                          /* under which documents refer to it: "Job" */
    const char *help;                          /* a sentence without its full stop */
    const struct schema_member *members;       /* NULL: none of its own */
    const struct schema *base;                 /* has its members, too; NULL: none */
    const struct param_table *(*params)(void); /* its members are these rows, nested; NULL: none */
    bool given;                                /* of `params`: each may be left out */
};

/* Adds the schema of an object under `key`; objects in it are references to
 * "#/components/schemas/<name>". */
void json_schema_print(struct json *parent, const char *key, const struct schema *schema);
/* Adds a reference to it, as `json_schema_print` does. */
void json_schema_reference(struct json *parent, const char *key, const struct schema *schema);
/* Adds the schema of one value of a parameter, with its default. */
void json_schema_param(struct json *parent, const char *key, const struct param *param);
