#pragma once

/* Repairing what store_check finds. */

#include "ptqd/store/store.h"

/* In a store that was opened by its owner:
 *
 *   missing file              what names it is forgotten: upload it, or submit the job, again
 *   file with other content   moved to lost/ in the directory, then as a missing one
 *   file that nothing names   removed
 *   miscounted job            counted again
 *   row without its parent    removed
 *   damaged database          its indexes are made anew
 *
 * A file that can't be read stays: its disk may be there again later. `out_report`: a line for each
 * thing done, in `arena`. `out_left`: findings that are still there, by store_check. */
bool store_repair(struct store *store, struct arena *arena, const char **out_report,
                  size_t *out_left, struct error *err);
