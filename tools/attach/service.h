/* What the service manager is told by who attaches in the foreground (sd_notify(3)'s protocol). */
#ifndef ATTACH_SERVICE_H
#define ATTACH_SERVICE_H

void service_ready (const char *status);
void service_status (const char *status);

#endif
