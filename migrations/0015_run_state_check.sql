-- SQLite makes a table of a list of constants, here for every new run, a third of what its row takes.
-- The same rule as comparisons; https://sqlite.org/lang_altertable.html, section 7, tells how a rule is
-- changed without copying the rows. Who still has the old text in memory has the same rule.

PRAGMA writable_schema = ON;
UPDATE sqlite_schema
   SET sql = replace(sql,
           'CHECK (state IN (''queued'', ''running'', ''succeeded'', ''failed'', ''cancelled''))',
           'CHECK (state = ''queued'' OR state = ''running'' OR state = ''succeeded'' OR state = ''failed'''
           || ' OR state = ''cancelled'')')
 WHERE type = 'table' AND name = 'run';
PRAGMA writable_schema = RESET;
