/* What the agent gives back to the system between calls, which are far apart. */
#ifndef KMS_REST_H
#define KMS_REST_H

/* Returns free heap, and unmaps the pages of code and constants, which stay in the page cache and
 * come back by a minor fault when they are needed.  Costs about a tenth of a millisecond, now and
 * at the next call; nothing is written, read from disk or waited for.  (A debugger's breakpoints go
 * with the pages.)
 */
void agent_rest (void);

#endif
