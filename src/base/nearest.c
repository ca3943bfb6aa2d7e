/* "Did you mean …?": the known name with the fewest edits. */

#include "ptqd/base/text.h"

#include <string.h>

enum { WORD_BYTES_MAX = 63 };

/* Levenshtein distance, one row of the table at a time. Words are at most WORD_BYTES_MAX long. */
static size_t edit_distance(const char *a, const char *b)
{
    size_t row[WORD_BYTES_MAX + 1];
    size_t b_length = strlen(b);
    for (size_t j = 0; j <= b_length; j++)
        row[j] = j;
    for (size_t i = 1; a[i - 1] != '\0'; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= b_length; j++) {
            size_t best = diagonal + (a[i - 1] != b[j - 1]);
            if (row[j] + 1 < best)
                best = row[j] + 1;
            if (row[j - 1] + 1 < best)
                best = row[j - 1] + 1;
            diagonal = row[j];
            row[j] = best;
        }
    }
    return row[b_length];
}

const char *text_nearest(const char *word, const char *const *names, size_t count)
{
    size_t length = strlen(word);
    if (length > WORD_BYTES_MAX)
        return NULL;
    const char *nearest = NULL;
    size_t fewest = length / 2 + 1; /* more edits than half the word: another word */
    for (size_t i = 0; i < count; i++) {
        if (strlen(names[i]) > WORD_BYTES_MAX)
            continue;
        size_t edits = edit_distance(word, names[i]);
        if (edits < fewest) {
            fewest = edits;
            nearest = names[i];
        }
    }
    return nearest;
}
