#include "ptqd/base/digest.h"

#include "support.h"

#include <stdio.h>
#include <string.h>

static struct error err;

/* FIPS 180-2, appendix B, and the digest of no bytes. */
static const struct {
    const char *text;
    const char *hex;
} known[] = {
    {"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
    {"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
    {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
     "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
};
enum { KNOWN = sizeof(known) / sizeof(known[0]) };

START_TEST(known_answers)
{
    for (size_t i = 0; i < KNOWN; i++) {
        char hex[DIGEST_HEX_BYTES];
        ck_assert_ok(digest_bytes(known[i].text, strlen(known[i].text), hex, &err), &err);
        ck_assert_str_eq(hex, known[i].hex);
    }
}
END_TEST

/* Law: however the bytes are cut into updates, the digest is the same. */
START_TEST(updates_may_be_cut_anywhere)
{
    const char *text = known[2].text;
    for (size_t cut = 0; cut <= strlen(text); cut++) {
        struct digest *digest = digest_create(&err);
        ck_assert_ptr_nonnull(digest);
        digest_update(digest, text, cut);
        digest_update(digest, NULL, 0);
        digest_update(digest, text + cut, strlen(text) - cut);
        char hex[DIGEST_HEX_BYTES];
        digest_hex(digest, hex);
        digest_destroy(digest);
        ck_assert_str_eq(hex, known[2].hex);
    }
    digest_destroy(NULL);
}
END_TEST

START_TEST(an_id_reads_back_in_lower_case)
{
    char id[DIGEST_ID_BYTES];
    char hex[DIGEST_HEX_BYTES];
    snprintf(id, sizeof(id), "sha256:%s", known[1].hex);
    ck_assert_uint_eq(strlen(id), DIGEST_ID_BYTES - 1);
    ck_assert_ok(digest_parse_id(id, hex, &err), &err);
    ck_assert_str_eq(hex, known[1].hex);
    id[7] = 'B'; /* as in "ba…" */
    ck_assert_ok(digest_parse_id(id, hex, &err), &err);
    ck_assert_str_eq(hex, known[1].hex);
}
END_TEST

/* Law: no proper prefix of an id, no longer text and no other byte in it makes an id. */
START_TEST(what_is_not_an_id_is_refused)
{
    char id[DIGEST_ID_BYTES + 1];
    char hex[DIGEST_HEX_BYTES] = "untouched";
    snprintf(id, sizeof(id), "sha256:%s", known[1].hex);
    size_t length = strlen(id);
    for (size_t i = 0; i < length; i++) {
        char saved = id[i];
        id[i] = '\0';
        ck_assert_fails(digest_parse_id(id, hex, &err), &err, E_INVALID, "is not an id");
        id[i] = 'g';
        ck_assert_fails(digest_parse_id(id, hex, &err), &err, E_INVALID, "is not an id");
        id[i] = saved;
    }
    id[length] = '0';
    id[length + 1] = '\0';
    ck_assert_fails(digest_parse_id(id, hex, &err), &err, E_INVALID, id);
    ck_assert_str_eq(hex, "untouched");
}
END_TEST

START_TEST(digests_are_equal_when_every_digit_is)
{
    char other[DIGEST_HEX_BYTES];
    ck_assert(digest_equal(known[1].hex, known[1].hex));
    for (size_t i = 0; i < DIGEST_HEX_BYTES - 1; i++) {
        memcpy(other, known[1].hex, sizeof(other));
        other[i] = other[i] == '0' ? '1' : '0';
        ck_assert(!digest_equal(other, known[1].hex));
        other[i] = '\0';
        ck_assert(!digest_equal(other, known[1].hex));
        ck_assert(!digest_equal(known[1].hex, other));
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("digest");
    TCase *cases = tcase_create("digest");
    tcase_add_test(cases, known_answers);
    tcase_add_test(cases, updates_may_be_cut_anywhere);
    tcase_add_test(cases, an_id_reads_back_in_lower_case);
    tcase_add_test(cases, what_is_not_an_id_is_refused);
    tcase_add_test(cases, digests_are_equal_when_every_digit_is);
    suite_add_tcase(suite, cases);
    return support_run(suite);
}
