#pragma once

/* Which thread goes first where there are more than cores. */

/* The calling thread gives way to others: `steps` of nice, cut at the end of their range. A system
 * that refuses leaves it as it was. Of what is idle it still gets all. */
void priority_lower(int steps);
