#include "job_label.h"

#include "statement.h"

bool job_label_insert(struct database *database, int64_t job, const struct job_label *labels,
                      size_t count, struct error *err)
{
    struct statement statement;
    statement_open(&statement, database,
                   "INSERT INTO job_label SELECT number, ?2, ?3, owner, state FROM job"
                   " WHERE number = ?1",
                   err);
    statement_bind_integer(&statement, 1, job);
    for (size_t i = 0; i < count; i++) {
        statement_bind_text(&statement, 2, labels[i].key);
        statement_bind_text(&statement, 3, labels[i].value);
        statement_repeat(&statement);
    }
    return statement_close(&statement);
}
