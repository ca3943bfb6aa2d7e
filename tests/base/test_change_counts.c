/* Counts of changes. */

#include "ptqd/base/change_counts.h"

#include "support.h"

#include <stdio.h>

START_TEST(a_change_is_counted_where_its_id_is)
{
    static struct change_counts counts;
    uint64_t before = change_read(&counts, "j17");
    change_count(&counts, change_place("j18"));
    ck_assert_uint_eq(change_read(&counts, "j17"), before);
    change_count(&counts, change_place("j17"));
    change_count(&counts, change_place("j17"));
    ck_assert_uint_eq(change_read(&counts, "j17"), before + 2);
    ck_assert_uint_eq(change_read(&counts, "j18"), 1);
}
END_TEST

/* Law: ids that follow one another rarely share a place. */
START_TEST(places_are_spread)
{
    static int ids[CHANGE_PLACES];
    int most = 0;
    for (int i = 0; i < CHANGE_PLACES; i++) {
        char id[16];
        (void)snprintf(id, sizeof(id), "j%d", i);
        size_t place = change_place(id);
        ck_assert_uint_lt(place, CHANGE_PLACES);
        ids[place]++;
        most = ids[place] > most ? ids[place] : most;
    }
    ck_assert_int_le(most, 8);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("change_counts");
    TCase *tcase = tcase_create("change_counts");
    tcase_add_test(tcase, a_change_is_counted_where_its_id_is);
    tcase_add_test(tcase, places_are_spread);
    suite_add_tcase(suite, tcase);
    return support_run(suite);
}
