/* Runs a fuzz target on every file of a corpus, as a plain test.
 *
 *   replay_<target> FOLDER…      one TAP line per file
 *
 * A target proves what it can by assertions and by surviving under the sanitizers; a file that
 * kills the program is the one named last. Each input is in a block of exactly its size, so that
 * AddressSanitizer sees a read past its end. */

#include <dirent.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static bool replay_file(const char *path)
{
    FILE *file = fopen(path, "rb");
    if (file == NULL)
        return false;
    uint8_t *bytes = NULL;
    bool ok = fseek(file, 0, SEEK_END) == 0;
    long end = ok ? ftell(file) : -1;
    ok = end >= 0 && fseek(file, 0, SEEK_SET) == 0;
    size_t size = ok ? (size_t)end : 0;
    if (ok)
        bytes = malloc(size == 0 ? 1 : size);
    ok = bytes != NULL && fread(bytes, 1, size, file) == size;
    if (ok)
        ok = LLVMFuzzerTestOneInput(bytes, size) == 0;
    free(bytes);
    fclose(file);
    return ok;
}

static int is_visible(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

/* Numbers its tests from `first`; returns how many there were. */
static int replay_folder(const char *folder, int first)
{
    struct dirent **entries;
    int count = scandir(folder, &entries, is_visible, alphasort);
    if (count <= 0) {
        printf("not ok %d - %s: an empty corpus\n", first, folder);
        return 1;
    }
    for (int i = 0; i < count; i++) {
        char path[4096];
        int length = snprintf(path, sizeof(path), "%s/%s", folder, entries[i]->d_name);
        printf("# %s\n", path);
        fflush(stdout);
        bool ok = length > 0 && (size_t)length < sizeof(path) && replay_file(path);
        printf("%s %d - %s\n", ok ? "ok" : "not ok", first + i, entries[i]->d_name);
        free(entries[i]);
    }
    free(entries);
    return count;
}

int main(int argc, char **argv)
{
    int tests = 0;
    for (int i = 1; i < argc; i++)
        tests += replay_folder(argv[i], tests + 1);
    printf("1..%d\n", tests);
    return 0;
}
