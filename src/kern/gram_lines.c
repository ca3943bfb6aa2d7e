/* Products of whole lines (gram_lines.h), for filters of three columns, and of four with stride 2.
 *
 * Along a line the sums of all distances stay in registers, and so do a place on the left and its
 * neighbours, which move on by one: what a place on the right takes part in needs one load. The
 * ends of the line, where some distances are missing, are code of their own: no product is made
 * that nobody wants.
 *
 * Three columns, stride 1: with the padding that keeps the size, a pair of taps sees the same
 * places as any other of its distance, but for a tap with itself, which may miss the first place,
 * or the last one: these have sums of their own.
 *
 * Three, stride 2: with a padding that halves an even size, even places are those of two taps and
 * odd ones those of the third; the first place, an even one, is seen by one of the two alone. If
 * the padding is at the other end, a line is read from right to left.
 *
 * Four, stride 2: with an even size and one place of padding at either end, even places are those
 * of the second tap and the fourth, which misses the first place; odd ones those of the first and
 * the third, which alone sees the last place. */

#include "gram_lines.h"

#include "cpu.h"
#include "gram_tiles.h"
#include "sizes.h"

#if defined(__x86_64__)

#include <immintrin.h>

#define AVX512 CPU_AVX512
#define INLINE inline __attribute__((always_inline))
#define UNROLL _Pragma("GCC unroll 16")

enum {
    SLOTS = GRAM_LINES_SLOTS,
    ROWS = GRAM_LINES_ROWS,
    WITHIN = 2,       /* places from one tap to another, at most */
    NEAR = WITHIN,    /* slots: of distances −2 … 2 from −2 on; of a place with itself, ... */
    FIRST = 5,        /* ... of the first place with itself, ... */
    LAST = 6,         /* ... and of the last one */
    ODD = 7,          /* stride 2: the same of odd places, −1 … 1 */
    SLOTS_WHOLE = 7,  /* with stride 1 ... */
    SLOTS_HALVED = 9, /* ... and 2 */
    WITHIN_FOUR = 3,  /* four columns: of even places, −3 … 2; ... */
    FIRST_FOUR = 6,   /* ... of the first one with itself; ... */
    ODD_FOUR = 9,     /* ... of odd ones, −2 … 3; ... */
    LAST_FOUR = 13,   /* ... and of the last one with itself */
    PART = 256,       /* places whose sums are in registers */
    OWN = 3,
    NONE = -1,
};

enum { FORM_WHOLE, FORM_HALVED, FORM_FOUR, FORMS };

/* What a slot sums up: places `first` and so many more, with those a distance away. */
struct slot {
    int64_t distance, first, count;
};

static INLINE struct slot slot_whole(int i, int64_t width)
{
    int64_t distance = i - NEAR, low = distance < 0 ? -distance : 0;
    if (i == FIRST || i == LAST)
        return (struct slot){0, i == FIRST ? 0 : width - 1, 1};
    if (i == NEAR)
        return (struct slot){0, 1, width - 2};
    return (struct slot){distance, low, width - (distance < 0 ? -distance : distance)};
}

/* Odd places take the slot of LAST and those behind it. */
static INLINE struct slot slot_halved(int i, int64_t width)
{
    int64_t half = width / 2;
    if (i == FIRST)
        return (struct slot){0, 0, 1};
    if (i > FIRST)
        return (struct slot){i - ODD, 1, half - (i > ODD)};
    return (struct slot){i - NEAR, i > NEAR ? 0 : 2, half - (i != NEAR + 1)};
}

static INLINE struct slot slot_four(int i, int64_t width)
{
    int64_t half = width / 2, even = i - WITHIN_FOUR, odd = i - ODD_FOUR;
    if (i == FIRST_FOUR || i == LAST_FOUR)
        return (struct slot){0, i == FIRST_FOUR ? 0 : width - 1, 1};
    if (i > FIRST_FOUR)
        return (struct slot){odd, odd < -1 ? 3 : 1, half - (odd == 3 ? 2 : odd != -1)};
    if (even == -WITHIN_FOUR)
        return (struct slot){even, 4, half - 2};
    return (struct slot){even, even > 0 ? 0 : 2, half - (even != 1)};
}

static INLINE struct slot slot_in(int form, int i, int64_t width)
{
    if (form == FORM_WHOLE)
        return slot_whole(i, width);
    return form == FORM_HALVED ? slot_halved(i, width) : slot_four(i, width);
}

/* A segment of columns by its places, counted from the line's start, or −1. */
static int64_t find_segment(const struct gram_shift *shift, struct slot slot, bool mirrored)
{
    int64_t stride = shift->shape->stride_w;
    if (mirrored) {
        slot.first = shift->W - 1 - (slot.first + (slot.count - 1) * stride);
        slot.distance = -slot.distance;
    }
    for (int64_t b = 0; b < shift->columns.count; b++) {
        const struct gram_segment *segment = &shift->columns.segment[b];
        if (segment->distance == slot.distance && segment->first - shift->w == slot.first &&
            segment->count == slot.count)
            return b;
    }
    return -1;
}

/* The lines that there is code for. */
static const struct form {
    int64_t taps, stride, least; /* least places */
    int slots, most;
} forms[] = {
    {3, 1, 3, SLOTS_WHOLE, ROWS},
    {3, 2, 4, SLOTS_HALVED, ROWS},
    {4, 2, 8, SLOTS, 1},
};

static bool match(const struct gram_shift *shift, int kind, bool mirrored, struct gram_lines *out)
{
    const struct form *form = &forms[kind];
    if (form->taps != shift->shape->S || form->stride != shift->shape->stride_w ||
        shift->W < form->least || shift->W % form->stride != 0 ||
        shift->columns.count != form->slots)
        return false;
    for (int i = 0; i < form->slots; i++) {
        int64_t b = find_segment(shift, slot_in(kind, i, shift->W), mirrored);
        if (b < 0)
            return false;
        out->slot[i] = b * GRAM_VECTOR;
    }
    return true;
}

static gram_add_lines add_parts;

bool gram_lines_match(const struct gram_shift *shift, int64_t place, bool codes,
                      struct gram_lines *out)
{
    if (!(codes ? cpu_has_avx512_products() : cpu_has_avx512()) || shift->shape->dilation_w != 1)
        return false;
    for (int form = 0; form < FORMS; form++)
        for (int mirrored = 0; mirrored <= (form == FORM_HALVED); mirrored++) {
            if (!match(shift, form, mirrored, out))
                continue;
            out->add = add_parts;
            out->form = form;
            out->most = forms[form].most;
            out->codes = codes;
            out->sums = !codes && form != FORM_FOUR;
            out->first = mirrored ? (shift->W - 1) * place : 0;
            out->step = mirrored ? -place : place;
            out->width = shift->W;
            return true;
        }
    return false;
}

/* The sums of some lines; `own` of places by themselves: of the middle, the first, and the last or
 * odd ones. */
struct sums {
    __m512i product[ROWS][SLOTS];
    __m512 own[OWN];
};

/* What a loop is made for; all of it constant. */
struct kind {
    int form, distances;
    int half; /* of the first distance, which is 0: only the columns behind (1), before (−1) */
    bool own;
    bool codes;
};

enum { REACH = WITHIN_FOUR, WINDOW = 2 * REACH + 1 };

/* Where it is read at present. */
struct line {
    const uint8_t *left, *right[ROWS];
    int64_t step;
    uintptr_t ahead;
    __m512i near[WINDOW]; /* on the left: the place itself, and up to REACH at either side */
};

/* A place on the right, and the factors that are in its line: so many before it, and behind. */
struct place {
    int before, behind;
    bool odd, first, last;
};

static INLINE int within(const struct kind kind)
{
    return kind.form == FORM_FOUR ? WITHIN_FOUR : WITHIN;
}

/* The slot of a place and the factor `from` places behind it, or NONE. */
static INLINE int slot_of(const struct kind kind, const struct place place, int from)
{
    bool odd = place.odd != (from % 2 != 0); /* the factor */
    if (kind.form == FORM_WHOLE)
        return from != 0 ? NEAR - from : place.first ? FIRST : place.last ? LAST : NEAR;
    if (kind.form == FORM_HALVED && odd)
        return from < -1 || from > 1 ? NONE : ODD - from;
    if (kind.form == FORM_HALVED)
        return from == 0 && place.first ? FIRST : NEAR - from;
    if (odd)
        return from > 2 ? NONE : from == 0 && place.last ? LAST_FOUR : ODD_FOUR - from;
    return from < -2 ? NONE : from == 0 && place.first ? FIRST_FOUR : WITHIN_FOUR - from;
}

/* As in gram_vectors.h, for processors without products of codes, too. */
AVX512 static INLINE __m512i add_product(const struct kind kind, __m512i sum, __m512i factor,
                                         __m512i other)
{
    if (kind.codes)
        __asm__("vpdpbusd %2, %1, %0" : "+v"(sum) : "v"(other), "v"(factor));
    else
        __asm__("vfmadd231ps %2, %1, %0" : "+v"(sum) : "v"(factor), "v"(other));
    return sum;
}

/* The factor so many places behind the present one; codes − 128 modulo 256. */
AVX512 static INLINE __m512i factor_at(const struct kind kind, const struct line *line, int places)
{
    const __m512i shift = _mm512_set1_epi32((int)0x80808080U);
    __m512i value = _mm512_loadu_si512(line->left + places * line->step);
    return kind.codes ? _mm512_xor_si512(value, shift) : value;
}

/* The sum of a place by itself, and what is asked for with it. */
AVX512 static INLINE void add_own(const struct kind kind, const struct place place,
                                  struct line *line, __m512 own[OWN])
{
    int i = place.first ? 1 : 0;
    if (kind.form == FORM_HALVED ? place.odd : place.last)
        i = 2;
    if (!kind.own)
        return;
    own[i] = _mm512_add_ps(own[i], _mm512_castsi512_ps(line->near[REACH]));
    __builtin_prefetch((const void *)line->ahead, 0, 2);
    line->ahead += GRAM_VECTOR;
}

/* A place of all lines on the right, and on to the next one: what is left and right of it on the
 * left is kept for those that follow, so that 13 products need 3 loads. */
AVX512 static INLINE void add_place(const struct kind kind, const struct place place,
                                    struct line *line, struct sums *sums)
{
    const int reach = within(kind);
    if (place.behind == reach)
        line->near[REACH + reach] = factor_at(kind, line, reach);
    add_own(kind, place, line, sums->own);
    UNROLL for (int k = 0; k < kind.distances; k++)
    {
        bool half = kind.half != 0 && k == 0;
        __m512i other =
            half && !kind.codes ? line->near[REACH] : _mm512_loadu_si512(line->right[k]);
        UNROLL for (int from = -place.before; from <= place.behind; from++)
        {
            int slot = slot_of(kind, place, from);
            if (slot == NONE || (half && kind.half * from > 0))
                continue;
            sums->product[k][slot] =
                add_product(kind, sums->product[k][slot], line->near[REACH + from], other);
        }
        line->right[k] += line->step;
    }
    line->left += line->step;
    UNROLL for (int i = REACH - reach; i < REACH + reach; i++) line->near[i] = line->near[i + 1];
}

/* The first places have nothing before them, and the last ones nothing behind; with stride 2 those
 * between are taken in pairs. */
AVX512 static INLINE void add_line(const struct kind kind, struct line *line, int64_t width,
                                   struct sums *sums)
{
    const int reach = within(kind), pair = kind.form == FORM_WHOLE ? 1 : 2;
    UNROLL for (int i = 0; i < reach; i++) line->near[REACH + i] = factor_at(kind, line, i);
    if (kind.form == FORM_WHOLE && width == 3) {
        add_place(kind, (struct place){.behind = 2, .first = true}, line, sums);
        add_place(kind, (struct place){.before = 1, .behind = 1}, line, sums);
        add_place(kind, (struct place){.before = 2, .last = true}, line, sums);
        return;
    }
    UNROLL for (int i = 0; i < reach; i++)
        add_place(kind, (struct place){i, reach, i % 2 != 0, i == 0, false}, line, sums);
    for (int64_t count = width - 2 * reach; count > 0; count -= pair)
        UNROLL for (int i = reach; i < reach + pair; i++)
            add_place(kind, (struct place){reach, reach, i % 2 != 0, false, false}, line, sums);
    UNROLL for (int i = reach - 1; i >= 0; i--)
        add_place(kind, (struct place){reach, i, i % 2 == 0, false, i == 0}, line, sums);
}

AVX512 static INLINE void add_to(bool codes, __m512i sum, uint8_t *out)
{
    __m512i before = _mm512_loadu_si512(out);
    __m512 floats = _mm512_add_ps(_mm512_castsi512_ps(before), _mm512_castsi512_ps(sum));
    _mm512_storeu_si512(out, codes ? _mm512_add_epi32(before, sum) : _mm512_castps_si512(floats));
}

AVX512 static INLINE void add_sums(const struct kind kind, const struct gram_lines *lines,
                                   const struct gram_lines_part *part, const struct sums *sums)
{
    int slots = forms[kind.form].slots;
    UNROLL for (int k = 0; k < kind.distances; k++)
        UNROLL for (int i = 0; i < slots;
                    i++) if (k > 0 || kind.half == 0 ||
                             kind.half * slot_in(kind.form, i, 0).distance >= 0)
            add_to(kind.codes, sums->product[k][i], part->products[k] + lines->slot[i]);
    if (!kind.own)
        return;
    static const int slot[][OWN] = {{NEAR, FIRST, LAST}, {NEAR, FIRST, ODD}};
    for (int i = 0; i < OWN; i++)
        add_to(false, _mm512_castps_si512(sums->own[i]),
               part->sums + lines->slot[slot[kind.form][i]]);
}

AVX512 static INLINE void add_lines(const struct kind kind, const struct gram_lines *lines,
                                    const struct gram_lines_part *part)
{
    struct sums sums;
    UNROLL for (int k = 0; k < ROWS; k++) UNROLL for (int i = 0; i < SLOTS; i++)
        sums.product[k][i] = _mm512_setzero_si512();
    for (int i = 0; i < OWN; i++)
        sums.own[i] = _mm512_setzero_ps();
    struct line line = {.step = lines->step, .ahead = part->ahead};
    for (int64_t p = 0; p < part->planes.count; p++)
        for (int64_t l = 0; l < part->lines.count; l++) {
            int64_t at = lines->first + p * part->planes.step + l * part->lines.step;
            line.left = part->left + at;
            for (int k = 0; k < kind.distances; k++)
                line.right[k] = part->right + at + part->distance[k];
            add_line(kind, &line, lines->width, &sums);
        }
    add_sums(kind, lines, part, &sums);
}

/* One function for each kind and number of distances, its sums in registers. */
#define DEFINE_ADD_LINES(name, ...)                                                                \
    AVX512 static void name(const struct gram_lines *lines, const struct gram_lines_part *part)    \
    {                                                                                              \
        add_lines((struct kind){__VA_ARGS__}, lines, part);                                        \
    }
#define DEFINE_KIND(name, form, half, own, codes)                                                  \
    DEFINE_ADD_LINES(name##_1, form, 1, half, own, codes)                                          \
    DEFINE_ADD_LINES(name##_2, form, 2, half, own, codes)                                          \
    DEFINE_ADD_LINES(name##_3, form, 3, half, own, codes)                                          \
    static gram_add_lines *const name[ROWS] = {name##_1, name##_2, name##_3};

DEFINE_KIND(whole, FORM_WHOLE, 0, false, false)
DEFINE_KIND(whole_own, FORM_WHOLE, 0, true, false)
DEFINE_KIND(whole_half, FORM_WHOLE, 1, true, false)
DEFINE_KIND(whole_codes, FORM_WHOLE, 0, false, true)
DEFINE_KIND(whole_codes_half, FORM_WHOLE, 1, false, true)
DEFINE_KIND(halved, FORM_HALVED, 0, false, false)
DEFINE_KIND(halved_own, FORM_HALVED, 0, true, false)
DEFINE_KIND(halved_half, FORM_HALVED, 1, true, false)
DEFINE_KIND(halved_mirrored, FORM_HALVED, -1, true, false)
DEFINE_KIND(halved_codes, FORM_HALVED, 0, false, true)
DEFINE_KIND(halved_codes_half, FORM_HALVED, 1, false, true)
DEFINE_KIND(halved_codes_mirrored, FORM_HALVED, -1, false, true)
DEFINE_ADD_LINES(four, FORM_FOUR, 1, 0, false, false)
DEFINE_ADD_LINES(four_half, FORM_FOUR, 1, 1, false, false)
DEFINE_ADD_LINES(four_codes, FORM_FOUR, 1, 0, false, true)
DEFINE_ADD_LINES(four_codes_half, FORM_FOUR, 1, 1, false, true)

static gram_add_lines *lines_of(const struct gram_lines *lines, const struct gram_lines_part *part)
{
    /* all; with sums of the places, or without: half of the first distance; the same, mirrored */
    static gram_add_lines *const *const floats[][4] = {
        {whole, whole_own, whole_half, NULL},
        {halved, halved_own, halved_half, halved_mirrored},
    };
    static gram_add_lines *const *const codes[][4] = {
        {whole_codes, NULL, whole_codes_half, NULL},
        {halved_codes, NULL, halved_codes_half, halved_codes_mirrored},
    };
    if (lines->form == FORM_FOUR && part->half)
        return lines->codes ? four_codes_half : four_half;
    if (lines->form == FORM_FOUR)
        return lines->codes ? four_codes : four;
    int kind = part->sums != NULL ? 1 : 0;
    if (part->half)
        kind = lines->step < 0 ? 3 : 2;
    return (lines->codes ? codes : floats)[lines->form][kind][part->distances - 1];
}

/* Some hundred places at a time: sums of float32 over thousands of squares would lose as many bits
 * again. Small maps do without the divisions. */
static void add_parts(const struct gram_lines *lines, const struct gram_lines_part *all)
{
    gram_add_lines *add = lines_of(lines, all);
    if (all->planes.count * all->lines.count * lines->width <= PART) {
        add(lines, all);
        return;
    }
    int64_t most = PART / lines->width < 1 ? 1 : PART / lines->width;
    int64_t l_step = least(all->lines.count, most),
            p_step = least(all->planes.count, most / l_step);
    struct gram_lines_part part = *all;
    for (int64_t p = 0; p < all->planes.count; p += p_step)
        for (int64_t l = 0; l < all->lines.count; l += l_step) {
            int64_t at = p * all->planes.step + l * all->lines.step;
            part.left = all->left + at;
            part.right = all->right + at;
            part.planes.count = least(p_step, all->planes.count - p);
            part.lines.count = least(l_step, all->lines.count - l);
            add(lines, &part);
            part.ahead +=
                (uintptr_t)(part.planes.count * part.lines.count * lines->width) * GRAM_VECTOR;
        }
}

#else

bool gram_lines_match(const struct gram_shift *shift, int64_t place, bool codes,
                      struct gram_lines *out)
{
    (void)shift;
    (void)place;
    (void)codes;
    (void)out;
    return false;
}

#endif
