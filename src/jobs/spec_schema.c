/* Specifications as documents about the interface describe them: what spec.c reads and spec_print.c
 * prints. */

#include "ptqd/flow/pipeline.h"
#include "ptqd/jobs/spec.h"
#include "ptqd/json/json_schema.h"

static const struct schema rule_schema = {
    .name = "LayerRule",
    .help = "Formats of the layers that \"match\", which must be given; the rest stays as the "
            "pipeline has it",
    .params = layer_rule_table,
    .given = true,
};

static const struct schema_member rules_members[] = {
    {"layers", .type = SCHEMA_OBJECT, .of = &rule_schema, .list = true, .optional = true,
     .help = "Rules for single layers; of several about one layer the later changes the earlier"},
    {0},
};

const struct schema pipeline_schema = {
    .name = "Pipeline",
    .help = "What is done to a model, with every default; lists are swept",
    .members = rules_members,
    .params = pipeline_table,
};

static const struct schema given_pipeline_schema = {
    .name = "PipelineSpec",
    .help = "What is done to a model; what is left out has its default; a list makes one variant "
            "of each value",
    .members = rules_members,
    .params = pipeline_table,
    .given = true,
};

static const struct schema_member data_members[] = {
    {"id", .type = SCHEMA_ID, .help = "Of the samples"},
    {"labels", .type = SCHEMA_ID, .optional = true, .help = "Of labels on their own"},
    {"scale", .type = SCHEMA_NUMBER, .optional = true, .help = "In place of the data set's own"},
    {"zero_point", .type = SCHEMA_NUMBER, .optional = true,
     .help = "In place of the data set's own"},
    {0},
};

const struct schema job_data_schema = {
    .name = "JobData",
    .help = "Samples with labels from another file, or another scale",
    .members = data_members,
};

static const struct schema_member model_members[] = {
    {"id", .type = SCHEMA_ID},
    {0},
};
static const struct schema model_schema = {
    .name = "JobModel",
    .help = "A network, by its id",
    .members = model_members,
};

static const struct schema_member patch_members[] = {
    {"name", .type = SCHEMA_STRING, .optional = true, .help = "At most 200 bytes"},
    {"labels", .type = SCHEMA_STRING, .map = true, .optional = true, .help = "At most 32"},
    {"priority", .type = SCHEMA_INTEGER, .optional = true,
     .help = "-100 to 100; higher ones start first"},
    {0},
};
const struct schema job_patch_schema = {
    .name = "JobPatch",
    .help = "What may be changed of a job that is there; labels take the place of all it has",
    .members = patch_members,
};

static const struct schema_member spec_members[] = {
    {"seeds", .type = SCHEMA_INTEGER, .or_list = true, .optional = true,
     .help = "A number n stands for 0 to n - 1"},
    {"memory_limit", .type = SCHEMA_INTEGER, .optional = true, .help = "Of a run, in MiB"},
    {"pipeline", .type = SCHEMA_OBJECT, .of = &given_pipeline_schema, .optional = true},
    {0},
};
static const struct schema common_schema = {
    .name = "JobSettings",
    .help = "A job without its files",
    .members = spec_members,
    .base = &job_patch_schema,
};

static const struct schema_member files_members[] = {
    {"model", .type = SCHEMA_ID, .of = &model_schema},
    {"calibration", .type = SCHEMA_ID, .of = &job_data_schema},
    {"evaluation", .type = SCHEMA_ID, .of = &job_data_schema, .optional = true},
    {0},
};
const struct schema job_spec_schema = {
    .name = "JobSpec",
    .help = "A job as it is submitted",
    .members = files_members,
    .base = &common_schema,
};

static const struct schema_member form_files_members[] = {
    {"model", .type = SCHEMA_ID, .of = &model_schema, .optional = true},
    {"calibration", .type = SCHEMA_ID, .of = &job_data_schema, .optional = true},
    {"evaluation", .type = SCHEMA_ID, .of = &job_data_schema, .optional = true},
    {0},
};
const struct schema job_form_spec_schema = {
    .name = "JobFormSpec",
    .help = "A job as it is submitted, without what comes as a file",
    .members = form_files_members,
    .base = &common_schema,
};
