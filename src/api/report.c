#include "ptqd/api/report.h"

#include "ptqd/api/result.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

/* Two passes: the mean first, so that near-equal values keep their digits. */
struct report_statistic report_statistic(const double *values, size_t count)
{
    struct report_statistic statistic = {.mean = (double)NAN, .deviation = (double)NAN};
    double sum = 0, squares = 0;
    for (size_t i = 0; i < count; i++) {
        if (isnan(values[i]))
            continue;
        sum += values[i];
        statistic.count++;
    }
    if (statistic.count == 0)
        return statistic;
    statistic.mean = sum / (double)statistic.count;
    for (size_t i = 0; i < count; i++) {
        double difference = isnan(values[i]) ? 0 : values[i] - statistic.mean;
        squares += difference * difference;
    }
    if (statistic.count > 1)
        statistic.deviation = sqrt(squares / (double)(statistic.count - 1));
    return statistic;
}

/* Columns of numbers, one per run of a variant. */
struct columns {
    double *accuracy, *loss, *agreement, *output_sqnr_db, *seconds;
};

static bool make_columns(struct arena *arena, size_t count, struct columns *out, struct error *err)
{
    double *values = ARENA_ARRAY(arena, double, 5 * count, err);
    if (values == NULL)
        return false;
    *out = (struct columns){.accuracy = values,
                            .loss = values + count,
                            .agreement = values + 2 * count,
                            .output_sqnr_db = values + 3 * count,
                            .seconds = values + 4 * count};
    return true;
}

/* A copy of a cost that outlives the result it was read from. */
static const struct json *keep(struct arena *arena, const struct json *value)
{
    struct json *holder = json_object(arena);
    json_add_copy(holder, "cost", value);
    return json_find(holder, "cost");
}

/* Reads one result in `scratch`; what stays goes to `arena`. */
static bool add_result(struct report *report, struct report_variant *variant,
                       const struct report_run *run, size_t row, const struct columns *columns,
                       struct arena *arena, struct arena *scratch, struct error *err)
{
    struct arena_mark mark = arena_mark(scratch);
    struct result_summary summary;
    if (!result_read(run->result, scratch, &summary, err))
        return error_context(err, "run %s", run->id);
    columns->accuracy[row] = summary.accuracy;
    columns->loss[row] = summary.loss;
    columns->agreement[row] = summary.agreement;
    columns->output_sqnr_db[row] = summary.output_sqnr_db;
    columns->seconds[row] = summary.seconds;
    if (variant->cost == NULL)
        variant->cost = keep(arena, summary.cost);
    if (report->float_cost == NULL) {
        report->float_cost = keep(arena, summary.float_cost);
        report->float_accuracy = summary.float_accuracy;
    }
    arena_reset(scratch, mark);
    return true;
}

/* Runs of one variant, all of them. */
static bool add_variant(struct report *report, const struct report_run *runs, size_t count,
                        struct arena *arena, struct arena *scratch, struct error *err)
{
    struct report_variant *variant = &report->variants[report->variant_count++];
    struct columns columns;
    struct json *choices;
    (void)snprintf(variant->id, sizeof(variant->id), "v%03" PRId64, runs[0].variant);
    variant->runs = ARENA_ARRAY(arena, const char *, count, err);
    if (variant->runs == NULL || !make_columns(arena, count, &columns, err) ||
        !json_parse(arena, runs[0].choices, strlen(runs[0].choices), NULL, &choices, err))
        return false;
    variant->choices = choices;
    for (size_t i = 0; i < count; i++) {
        variant->runs[variant->run_count++] = runs[i].id;
        variant->failed += runs[i].failed;
        if (runs[i].result == NULL)
            continue;
        if (!add_result(report, variant, &runs[i], variant->succeeded++, &columns, arena, scratch,
                        err))
            return false;
    }
    variant->accuracy = report_statistic(columns.accuracy, variant->succeeded);
    variant->loss = report_statistic(columns.loss, variant->succeeded);
    variant->agreement = report_statistic(columns.agreement, variant->succeeded);
    variant->output_sqnr_db = report_statistic(columns.output_sqnr_db, variant->succeeded);
    variant->seconds = report_statistic(columns.seconds, variant->succeeded);
    return true;
}

static size_t count_variants(const struct report_run *runs, size_t count)
{
    size_t variants = count > 0;
    for (size_t i = 1; i < count; i++)
        variants += runs[i].variant != runs[i - 1].variant;
    return variants;
}

static bool add_variants(struct report *report, const struct report_run *runs, size_t run_count,
                         struct arena *arena, struct arena *scratch, struct error *err)
{
    for (size_t first = 0, last; first < run_count; first = last) {
        last = first + 1;
        while (last < run_count && runs[last].variant == runs[first].variant)
            last++;
        if (!add_variant(report, runs + first, last - first, arena, scratch, err))
            return false;
    }
    return true;
}

double report_cost(const struct json *cost, const char *key)
{
    double value = (double)NAN;
    const struct json *member = json_find(cost, key);
    if (member != NULL)
        (void)json_as_number(member, -HUGE_VAL, HUGE_VAL, &value, NULL); /* else stays NaN */
    return value;
}

/* The marks of all variants for one cost; `points` and `marks` have room for them. */
static void find_front(const struct report *report, const char *cost, struct pareto_point *points,
                       enum pareto_mark *marks)
{
    for (size_t i = 0; i < report->variant_count; i++) {
        const struct report_variant *variant = &report->variants[i];
        points[i] = (struct pareto_point){
            .value = report->has_accuracy ? variant->accuracy.mean : variant->agreement.mean,
            .cost = report_cost(variant->cost, cost),
        };
    }
    pareto_front(points, report->variant_count, marks);
}

static bool mark_fronts(struct report *report, struct arena *scratch, struct error *err)
{
    size_t count = report->variant_count;
    struct pareto_point *points = ARENA_ARRAY(scratch, struct pareto_point, count, err);
    enum pareto_mark *bops = ARENA_ARRAY(scratch, enum pareto_mark, count, err);
    enum pareto_mark *peak_bytes = ARENA_ARRAY(scratch, enum pareto_mark, count, err);
    if (points == NULL || bops == NULL || peak_bytes == NULL)
        return false;
    for (size_t i = 0; i < count; i++)
        report->has_accuracy |= report->variants[i].accuracy.count > 0;
    find_front(report, "bops", points, bops);
    find_front(report, "peak_bytes", points, peak_bytes);
    for (size_t i = 0; i < count; i++) {
        report->variants[i].front_bops = bops[i];
        report->variants[i].front_peak_bytes = peak_bytes[i];
    }
    return true;
}

enum { SCRATCH_BYTES = 1 << 30 };

bool report_create(struct arena *arena, const char *job, const struct report_run *runs,
                   size_t run_count, struct report *out_report, struct error *err)
{
    struct report report = {.job = arena_strdup(arena, job, err), .float_accuracy = (double)NAN};
    size_t variant_count = count_variants(runs, run_count);
    report.variants = ARENA_ARRAY(arena, struct report_variant, variant_count, err);
    struct arena *scratch = arena_create(SCRATCH_BYTES);
    if (scratch == NULL)
        return FAIL(err, E_MEMORY, "no memory to read results");
    bool ok = report.job != NULL && report.variants != NULL &&
              add_variants(&report, runs, run_count, arena, scratch, err) &&
              mark_fronts(&report, scratch, err);
    arena_destroy(scratch);
    if (ok)
        *out_report = report;
    return ok;
}

static const struct schema_member statistic_members[] = {
    {"mean", .type = SCHEMA_NUMBER, .null = true},
    {"std", .type = SCHEMA_NUMBER, .null = true, .help = "Sample standard deviation"},
    {"n", .type = SCHEMA_INTEGER, .help = "Runs that have the number"},
    {0},
};
static const struct schema statistic_schema = {
    .name = "Statistic",
    .help = "A number over the seeds of a variant",
    .members = statistic_members,
};

static const struct schema_member pareto_members[] = {
    {"bops", .type = SCHEMA_BOOL, .null = true},
    {"peak_bytes", .type = SCHEMA_BOOL, .null = true},
    {0},
};
static const struct schema pareto_schema = {
    .name = "Pareto",
    .help = "Whether no other variant has at least its accuracy for less; null: it is not ranked",
    .members = pareto_members,
};

static const struct schema_member variant_members[] = {
    {"id", .type = SCHEMA_STRING},
    {"choices", .type = SCHEMA_SCALAR, .map = true, .help = "The swept fields"},
    {"accuracy", .type = SCHEMA_OBJECT, .of = &statistic_schema},
    {"loss", .type = SCHEMA_OBJECT, .of = &statistic_schema},
    {"agreement", .type = SCHEMA_NUMBER, .null = true},
    {"output_sqnr_db", .type = SCHEMA_NUMBER, .null = true},
    {"cost", .type = SCHEMA_OBJECT, .of = &cost_schema, .null = true},
    {"pareto", .type = SCHEMA_OBJECT, .of = &pareto_schema},
    {"seconds", .type = SCHEMA_OBJECT, .of = &statistic_schema},
    {"succeeded", .type = SCHEMA_INTEGER, .help = "Runs"},
    {"failed", .type = SCHEMA_INTEGER, .help = "Runs"},
    {"runs", .type = SCHEMA_STRING, .list = true, .help = "Ids"},
    {0},
};
static const struct schema variant_schema = {
    .name = "ReportVariant",
    .help = "The runs of a variant, aggregated",
    .members = variant_members,
};

static const struct schema_member float_members[] = {
    {"accuracy", .type = SCHEMA_NUMBER, .null = true},
    {"cost", .type = SCHEMA_OBJECT, .of = &cost_schema, .null = true},
    {0},
};
static const struct schema float_schema = {
    .name = "ReportFloat",
    .help = "The float network",
    .members = float_members,
};

static const struct schema_member report_members[] = {
    {"job", .type = SCHEMA_STRING},
    {"float", .type = SCHEMA_OBJECT, .of = &float_schema},
    {"variants", .type = SCHEMA_OBJECT, .of = &variant_schema, .list = true},
    {0},
};
const struct schema report_schema = {
    .name = "Report",
    .help = "What came out of a job",
    .members = report_members,
};

static void add_statistic(struct json *parent, const char *key,
                          const struct report_statistic *statistic)
{
    struct json *object = json_add_object(parent, key);
    json_add_number(object, "mean", statistic->mean);
    json_add_number(object, "std", statistic->deviation);
    json_add_integer(object, "n", (int64_t)statistic->count);
}

static void add_mark(struct json *parent, const char *key, enum pareto_mark mark)
{
    if (mark == PARETO_UNKNOWN)
        json_add_null(parent, key);
    else
        json_add_bool(parent, key, mark == PARETO_FRONT);
}

static void add_variant_json(struct json *list, const struct report_variant *variant)
{
    struct json *object = json_add_object(list, NULL);
    json_add_string(object, "id", variant->id);
    json_add_copy(object, "choices", variant->choices);
    add_statistic(object, "accuracy", &variant->accuracy);
    add_statistic(object, "loss", &variant->loss);
    json_add_number(object, "agreement", variant->agreement.mean);
    json_add_number(object, "output_sqnr_db", variant->output_sqnr_db.mean);
    json_add_copy(object, "cost", variant->cost);
    struct json *pareto = json_add_object(object, "pareto");
    add_mark(pareto, "bops", variant->front_bops);
    add_mark(pareto, "peak_bytes", variant->front_peak_bytes);
    add_statistic(object, "seconds", &variant->seconds);
    json_add_integer(object, "succeeded", (int64_t)variant->succeeded);
    json_add_integer(object, "failed", (int64_t)variant->failed);
    struct json *runs = json_add_array(object, "runs");
    for (size_t i = 0; i < variant->run_count; i++)
        json_add_string(runs, NULL, variant->runs[i]);
}

struct json *report_json(const struct report *report, struct arena *arena)
{
    struct json *object = json_object(arena);
    json_add_string(object, "job", report->job);
    struct json *reference = json_add_object(object, "float");
    json_add_number(reference, "accuracy", report->float_accuracy);
    json_add_copy(reference, "cost", report->float_cost);
    struct json *variants = json_add_array(object, "variants");
    for (size_t i = 0; i < report->variant_count; i++)
        add_variant_json(variants, &report->variants[i]);
    return object;
}
