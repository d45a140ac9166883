/* Which processes use a file system or a block device, as fuser(1) finds them: a hint for people.
 */
#ifndef ATTACH_HOLDERS_H
#define ATTACH_HOLDERS_H

#define HOLDERS_MAX 256

/* "process 123 (postgres), process 456 (bash) and 3 more"; empty when there are none that can be
 * seen.
 */
void holders_of_mount (const char *path, char ret_who[HOLDERS_MAX]);
void holders_of_device (const char *device, char ret_who[HOLDERS_MAX]);

#endif
