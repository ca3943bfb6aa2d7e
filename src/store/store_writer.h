#pragma once

/* The one thread that changes the database. */

#include "database.h"

/* Writes that may wait at one time; a bound on memory, far above what a group needs. */
enum { STORE_WRITES_MAX = 65536 };

struct store_writer;

struct collect_search;

/* Takes the connection over and starts the thread, which makes the search (NULL: none) while there
 * is nothing to write. The search is the writer's in any case. */
bool store_writer_create(struct database *database, struct collect_search *search,
                         struct store_writer **out_writer, struct error *err);
/* Answers what was submitted, then ends the thread. NULL is fine. */
void store_writer_stop(struct store_writer *writer);
/* The same, unless that was done, and closes the connection. */
void store_writer_destroy(struct store_writer *writer);

/* Fills in what the writer knows. */
void store_writer_read_stats(struct store_writer *writer, struct store_stats *stats);

void store_writer_submit(struct store_writer *writer, struct store_write *write);
bool store_writer_wait(struct store_writer *writer, struct store_write *write, struct error *err);
void store_writer_collect(struct store_writer *writer);
/* store_changes and its relatives. */
uint64_t store_writer_changes(const struct store_writer *writer);
uint64_t store_writer_job_changes(const struct store_writer *writer, const char *job);
uint64_t store_writer_object_changes(const struct store_writer *writer);
