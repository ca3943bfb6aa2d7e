/* Gemm and MatMul: against their definitions, their gradients against differences, what they count
 * and what they refuse. */

#include "node_case.h"
#include "support.h"

#define COUNT(array) ((int)(sizeof(array) / sizeof((array)[0])))

/* Sums of a few hundred products of values around 1. */
static const double CLOSE = 2e-4;

static const struct gemm_case {
    struct node_spec spec;
    struct shape output;
} gemm_cases[] = {
    {{.op = "Gemm", .input = {2, {1, 7}}, .constants = {{2, {7, 5}}}, .constant_count = 1},
     {2, {1, 5}}},
    {{.op = "Gemm",
      .input = {2, {1, 7}},
      .constants = {{2, {5, 7}}, {1, {5}}},
      .constant_count = 2,
      .attributes = {NODE_INT("transB", 1)}},
     {2, {1, 5}}},
    {{.op = "Gemm",
      .input = {2, {1, 7}},
      .constants = {{2, {5, 7}}, {2, {1, 5}}},
      .constant_count = 2,
      .attributes = {NODE_INT("transB", 1), NODE_REAL("alpha", 0.5), NODE_REAL("beta", -2)}},
     {2, {1, 5}}},
    {{.op = "Gemm",
      .input = {2, {1, 3}},
      .constants = {{2, {3, 4}}, {0, {0}}},
      .constant_count = 2,
      .attributes = {NODE_REAL("beta", 3)}},
     {2, {1, 4}}},
    {{.op = "Gemm",
      .input = {2, {6, 4}},
      .constants = {{2, {5, 6}}, {2, {4, 5}}},
      .constant_count = 2,
      .attributes = {NODE_INT("transA", 1), NODE_INT("transB", 1), NODE_REAL("alpha", 0.25)}},
     {2, {4, 5}}},
    {{.op = "Gemm",
      .input = {2, {6, 4}},
      .constants = {{2, {6, 5}}, {2, {4, 1}}},
      .constant_count = 2,
      .attributes = {NODE_INT("transA", 1)}},
     {2, {4, 5}}},
};

/* How many samples a case can be executed with. */
static int64_t samples_of(const struct node_case *at)
{
    return at->graph->batchable ? 3 : 1;
}

/* Element (i, j) of a matrix that may be stored transposed. */
static double element(const float *matrix, const struct shape *shape, bool transposed, int64_t i,
                      int64_t j)
{
    int64_t columns = shape->dim[1];
    return (double)(transposed ? matrix[j * columns + i] : matrix[i * columns + j]);
}

static int64_t integer_of(const struct node *node, const char *name)
{
    const struct attribute *attribute = node_attribute(node, name);
    return attribute != NULL ? attribute->integer : 0;
}

static double real_of(const struct node *node, const char *name)
{
    const struct attribute *attribute = node_attribute(node, name);
    return attribute != NULL ? attribute->real : 1;
}

/* Element (m, n) of c, broadcast from whatever axes it has. */
static double addend_at(const struct tensor *c, int64_t m, int64_t n)
{
    const struct shape *shape = &c->shape;
    int64_t columns = shape->rank > 0 ? shape->dim[shape->rank - 1] : 1;
    int64_t rows = shape->rank > 1 ? shape->dim[0] : 1;
    return (double)c->values[(rows > 1 ? m : 0) * columns + (columns > 1 ? n : 0)];
}

START_TEST(gemm_is_that_of_the_definition)
{
    struct error err;
    struct node_case at;
    ck_assert_ok(node_case_init(&at, &gemm_cases[_i].spec, 5, &err), &err);
    node_case_check_output(&at, &gemm_cases[_i].output);
    int64_t samples = samples_of(&at);
    const struct tensor *b = &at.graph->tensors[at.node->inputs[1]];
    const struct tensor *c =
        at.node->input_count > 2 ? &at.graph->tensors[at.node->inputs[2]] : NULL;
    bool transpose_a = integer_of(at.node, "transA") != 0;
    bool transpose_b = integer_of(at.node, "transB") != 0;
    struct shape a = gemm_cases[_i].spec.input;
    a.dim[0] *= samples;
    int64_t K = a.dim[transpose_a ? 0 : 1], N = b->shape.dim[transpose_b ? 0 : 1];
    const float *x = node_case_input(&at, samples), *y = node_case_run(&at, x, samples);
    for (int64_t i = 0; i < node_case_outputs(&at, samples); i++) {
        double expected = c != NULL ? real_of(at.node, "beta") * addend_at(c, i / N, i % N) : 0;
        for (int64_t k = 0; k < K; k++)
            expected += real_of(at.node, "alpha") * element(x, &a, transpose_a, i / N, k) *
                        element(b->values, &b->shape, transpose_b, k, i % N);
        ck_assert_double_eq_tol((double)y[i], expected, CLOSE);
    }
    ck_assert_int_eq(at.node->op->macs(at.graph, at.node), node_case_outputs(&at, 1) * K);
    node_case_finish(&at);
}
END_TEST

START_TEST(gradients_of_gemm_are_those_of_differences)
{
    struct error err;
    struct node_case at;
    ck_assert_ok(node_case_init(&at, &gemm_cases[_i].spec, 6, &err), &err);
    node_case_check_gradients(&at, samples_of(&at), 1.0f, CLOSE);
    node_case_finish(&at);
}
END_TEST

static const struct matmul_case {
    struct node_spec spec;
    struct shape output;
    bool batchable;
    int64_t macs;
} matmul_cases[] = {
    {{.op = "MatMul", .input = {2, {1, 4}}, .constants = {{2, {4, 3}}}, .constant_count = 1},
     {2, {1, 3}},
     true,
     12},
    {{.op = "MatMul", .input = {3, {1, 5, 4}}, .constants = {{2, {4, 3}}}, .constant_count = 1},
     {3, {1, 5, 3}},
     true,
     60},
    {{.op = "MatMul", .input = {3, {1, 5, 4}}, .constants = {{3, {1, 4, 3}}}, .constant_count = 1},
     {3, {1, 5, 3}},
     true,
     60},
    {{.op = "MatMul",
      .input = {4, {1, 2, 5, 4}},
      .constants = {{3, {2, 4, 3}}},
      .constant_count = 1},
     {4, {1, 2, 5, 3}},
     true,
     120},
    {{.op = "MatMul",
      .input = {4, {1, 1, 5, 4}},
      .constants = {{4, {1, 6, 4, 3}}},
      .constant_count = 1},
     {4, {1, 6, 5, 3}},
     true,
     360},
    {{.op = "MatMul",
      .input = {3, {1, 5, 4}},
      .constants = {{4, {3, 1, 4, 2}}},
      .constant_count = 1},
     {4, {3, 1, 5, 2}},
     false,
     120},
    {{.op = "MatMul", .input = {3, {1, 5, 4}}, .constants = {{1, {4}}}, .constant_count = 1},
     {2, {1, 5}},
     true,
     20},
    {{.op = "MatMul", .input = {1, {4}}, .constants = {{2, {4, 3}}}, .constant_count = 1},
     {1, {3}},
     false,
     12},
};

/* y[batch][m][n] with indices of a and b taken from the result's, one axis at a time. */
static double matmul_at(const struct shape *a, const float *x, const struct shape *b,
                        const float *w, const int64_t *batch, int batch_rank, int64_t m, int64_t n)
{
    int64_t K = a->dim[a->rank - 1], a_at = 0, b_at = 0;
    for (int i = 0; i < batch_rank; i++) {
        int a_axis = i - (batch_rank - (a->rank - 2)), b_axis = i - (batch_rank - (b->rank - 2));
        if (a->rank > 2 && a_axis >= 0)
            a_at = a_at * a->dim[a_axis] + (a->dim[a_axis] > 1 ? batch[i] : 0);
        if (b->rank > 2 && b_axis >= 0)
            b_at = b_at * b->dim[b_axis] + (b->dim[b_axis] > 1 ? batch[i] : 0);
    }
    int64_t M = a->rank > 1 ? a->dim[a->rank - 2] : 1, N = b->rank > 1 ? b->dim[b->rank - 1] : 1;
    double sum = 0;
    for (int64_t k = 0; k < K; k++)
        sum += (double)x[(a_at * M + m) * K + k] * (double)w[(b_at * K + k) * N + n];
    return sum;
}

START_TEST(matmul_is_that_of_numpy)
{
    struct error err;
    struct node_case at;
    const struct matmul_case *test = &matmul_cases[_i];
    ck_assert_ok(node_case_init(&at, &test->spec, 7, &err), &err);
    node_case_check_output(&at, &test->output);
    ck_assert_int_eq(at.graph->batchable, test->batchable);
    ck_assert_int_eq(at.node->op->macs(at.graph, at.node), test->macs);
    int64_t samples = samples_of(&at);
    struct shape a = test->spec.input, b = test->spec.constants[0], y_shape = test->output;
    a.dim[0] *= samples;
    y_shape.dim[0] *= samples;
    const float *w = at.graph->tensors[at.node->inputs[1]].values;
    const float *x = node_case_input(&at, samples), *y = node_case_run(&at, x, samples);
    int64_t N = b.rank > 1 ? b.dim[b.rank - 1] : 1, M = a.rank > 1 ? a.dim[a.rank - 2] : 1;
    int batch_rank = (a.rank > b.rank ? a.rank : b.rank) - 2;
    for (int64_t i = 0; i < shape_elements(&y_shape); i++) {
        int64_t batch[SHAPE_RANK_MAX], rest = i / (N * M);
        for (int axis = batch_rank - 1; axis >= 0; axis--) {
            batch[axis] = rest % y_shape.dim[axis];
            rest /= y_shape.dim[axis];
        }
        double expected = matmul_at(&a, x, &b, w, batch, batch_rank, i / N % M, i % N);
        ck_assert_double_eq_tol((double)y[i], expected, CLOSE);
    }
    node_case_finish(&at);
}
END_TEST

START_TEST(gradients_of_matmul_are_those_of_differences)
{
    struct error err;
    struct node_case at;
    ck_assert_ok(node_case_init(&at, &matmul_cases[_i].spec, 8, &err), &err);
    node_case_check_gradients(&at, samples_of(&at), 1.0f, CLOSE);
    node_case_finish(&at);
}
END_TEST

static const struct refusal {
    struct node_spec spec;
    enum error_code code;
    const char *fragment;
} refusals[] = {
    {{.op = "Gemm", .input = {2, {1, 4}}, .constants = {{2, {5, 3}}}, .constant_count = 1},
     E_INVALID,
     "the product of 1x4 and 5x3 is not defined"},
    {{.op = "Gemm", .input = {3, {1, 4, 4}}, .constants = {{2, {4, 3}}}, .constant_count = 1},
     E_INVALID,
     "has 3 axes; a matrix has 2"},
    {{.op = "Gemm",
      .input = {2, {1, 4}},
      .constants = {{2, {4, 3}}, {1, {4}}},
      .constant_count = 2},
     E_INVALID,
     "'c2' is 4; it can't be broadcast to 1x3"},
    {{.op = "MatMul", .input = {3, {1, 2, 4}}, .constants = {{2, {5, 3}}}, .constant_count = 1},
     E_INVALID,
     "the product of 1x2x4 and 5x3 is not defined"},
    {{.op = "MatMul",
      .input = {4, {1, 2, 2, 4}},
      .constants = {{3, {3, 4, 3}}},
      .constant_count = 1},
     E_INVALID,
     "the product of 1x2x2x4 and 3x4x3 is not defined"},
};

START_TEST(what_is_refused_is_named)
{
    struct error err;
    struct node_case at;
    ck_assert_fails(node_case_init(&at, &refusals[_i].spec, 11, &err), &err, refusals[_i].code,
                    refusals[_i].fragment);
    node_case_finish(&at);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("ops_dense");
    TCase *products = tcase_create("products");
    tcase_add_loop_test(products, gemm_is_that_of_the_definition, 0, COUNT(gemm_cases));
    tcase_add_loop_test(products, gradients_of_gemm_are_those_of_differences, 0, COUNT(gemm_cases));
    tcase_add_loop_test(products, matmul_is_that_of_numpy, 0, COUNT(matmul_cases));
    tcase_add_loop_test(products, gradients_of_matmul_are_those_of_differences, 0,
                        COUNT(matmul_cases));
    suite_add_tcase(suite, products);
    TCase *errors = tcase_create("errors");
    tcase_add_loop_test(errors, what_is_refused_is_named, 0, COUNT(refusals));
    suite_add_tcase(suite, errors);
    return support_run(suite);
}
