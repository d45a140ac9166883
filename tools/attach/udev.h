/* The names of attached devices, for udev. */
#ifndef ATTACH_UDEV_H
#define ATTACH_UDEV_H

/* Lets udev (by 90-keyfence.rules) give `device` the name `link`, if that is one in /dev/keyfence;
 * or take it back.  Without udev, or with sockets elsewhere than in /run/keyfence, nothing happens.
 */
void udev_name (const char *device, const char *link);
void udev_unname (const char *device);

#endif
