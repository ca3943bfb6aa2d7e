/* GET /v1/models/{id}/graph: what of a network a picture of it is drawn from. */

#include "service.h"

#include "support.h"

#include <string.h>

static struct service service;
static const struct json *graph;

static void setup(void)
{
    service_start(&service, false);
    const char *id = service_upload(&service, "/v1/models", &service.files.model);
    graph =
        service_get(&service, arena_printf(service.arena, NULL, "/v1/models/%s/graph", id), 200);
    ck_assert_str_eq(service_text(graph, "model"), id);
}

static void teardown(void)
{
    service_stop(&service);
}

static const struct json *find_node(const char *name)
{
    const struct json *node = json_first(service_member(graph, "nodes"));
    while (node != NULL && strcmp(service_text(node, "name"), name) != 0)
        node = json_next(node);
    ck_assert_msg(node != NULL, "there is no node \"%s\"", name);
    return node;
}

static bool truth_of(const struct json *object, const char *key)
{
    bool truth = false;
    struct error err = {0};
    ck_assert_ok(json_as_bool(service_member(object, key), &truth, &err), &err);
    return truth;
}

/* Law: the sum reads what the pointwise convolution and the first Relu give, in this order. */
START_TEST(edges_are_those_of_the_file)
{
    const struct json *inputs = service_member(find_node("sum"), "inputs");
    double pointwise = 0, skip = 0;
    struct error err = {0};
    ck_assert_uint_eq(json_count(inputs), 2);
    ck_assert_ok(json_as_number(json_first(inputs), 0, 100, &pointwise, &err), &err);
    ck_assert_ok(json_as_number(json_next(json_first(inputs)), 0, 100, &skip, &err), &err);
    ck_assert_double_eq(pointwise, service_number(find_node("pointwise"), "id"));
    ck_assert_double_eq(skip, service_number(find_node("stem_relu"), "id"));
}
END_TEST

/* Law: ids count the nodes in execution order, so whatever a node reads was made before it; only
 * the first reads the network's input, and the last one's output is the network's. */
START_TEST(nodes_are_in_execution_order)
{
    double id = 0, last = -1, value = 0;
    struct error err = {0};
    const struct json *nodes = service_member(graph, "nodes");
    for (const struct json *node = json_first(nodes); node != NULL; node = json_next(node), id++) {
        const struct json *inputs = service_member(node, "inputs");
        ck_assert_double_eq(service_number(node, "id"), id);
        ck_assert(truth_of(node, "from_input") == (id == 0));
        ck_assert_uint_ge(json_count(inputs), id == 0 ? 0 : 1);
        for (const struct json *v = json_first(inputs); v != NULL; v = json_next(v)) {
            ck_assert_ok(json_as_number(v, 0, 100, &value, &err), &err);
            ck_assert_double_lt(value, id);
        }
        last = id;
    }
    const struct json *outputs = service_member(graph, "outputs");
    ck_assert_uint_eq(json_count(outputs), 1);
    ck_assert_ok(json_as_number(json_first(outputs), 0, 100, &value, &err), &err);
    ck_assert_double_eq(value, last);
}
END_TEST

/* Law: what a layer costs and the order of its shape are those of the file: 8 channels of 8 × 8 by
 * 3 × 3 windows over 3 channels. */
START_TEST(layers_have_shapes_products_and_parameters)
{
    const struct json *stem = find_node("stem"), *relu = find_node("stem_relu");
    const char *shape =
        json_print_string(service_member(stem, "output_shape"), service.arena, NULL, NULL);
    ck_assert_str_eq(shape, "[1,8,8,8]");
    ck_assert_str_eq(service_text(stem, "op"), "Conv");
    ck_assert_double_eq(service_number(stem, "macs"), 8 * 8 * 8 * 3 * 3 * 3);
    ck_assert_double_eq(service_number(stem, "parameters"), 8 * 3 * 3 * 3 + 8);
    ck_assert(truth_of(stem, "layer") && !truth_of(relu, "layer"));
    ck_assert_double_eq(service_number(relu, "parameters"), 0);
    ck_assert_str_eq(json_print_string(service_member(service_member(graph, "input"), "shape"),
                                       service.arena, NULL, NULL),
                     "[1,3,8,8]");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("model_graph");
    TCase *tcase = tcase_create("model_graph");
    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, edges_are_those_of_the_file);
    tcase_add_test(tcase, nodes_are_in_execution_order);
    tcase_add_test(tcase, layers_have_shapes_products_and_parameters);
    suite_add_tcase(suite, tcase);
    return support_run(suite);
}
