/* peer.c owns the question to the kernel about a socket's other end, by its socket diagnostics. */
#include "tools/attach/peer.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>
#include <linux/unix_diag.h>

#include "common/cleanup.h"

#define ANSWER_MAX 4096

struct question {
  struct nlmsghdr header;
  struct unix_diag_req body;
};

static int
send_question (int netlink_fd, uint32_t inode)
{
  const struct question question = {
      .header = {.nlmsg_len = sizeof question,
                 .nlmsg_type = SOCK_DIAG_BY_FAMILY,
                 .nlmsg_flags = NLM_F_REQUEST},
      .body = {.sdiag_family = AF_UNIX,
               .udiag_states = UINT32_MAX,
               .udiag_ino = inode,
               .udiag_show = UDIAG_SHOW_PEER,
               .udiag_cookie = {UINT32_MAX, UINT32_MAX}},
  };

  return send (netlink_fd, &question, sizeof question, 0) < 0 ? -errno : 0;
}

/* The inode of the peer is 0 when it is no process's any more. */
static int
judge (const struct nlmsghdr *header)
{
  const struct unix_diag_msg *body = NLMSG_DATA (header);
  const struct rtattr *attribute;
  int left;

  if (header->nlmsg_type == NLMSG_ERROR) {
    const struct nlmsgerr *error = NLMSG_DATA (header);

    return error->error < 0 ? error->error : -EPROTO;
  }
  if (header->nlmsg_type != SOCK_DIAG_BY_FAMILY || header->nlmsg_len < NLMSG_LENGTH (sizeof *body))
    return -EPROTO;
  left = (int)(header->nlmsg_len - NLMSG_LENGTH (sizeof *body));
  for (attribute = (const struct rtattr *)(body + 1); RTA_OK (attribute, left);
       attribute = RTA_NEXT (attribute, left)) {
    uint32_t inode;

    if (attribute->rta_type != UNIX_DIAG_PEER || RTA_PAYLOAD (attribute) != sizeof inode)
      continue;
    memcpy (&inode, RTA_DATA (attribute), sizeof inode);
    return inode != 0;
  }
  return 0; /* no peer at all */
}

int
peer_is_open (int fd)
{
  CLEANUP_CLOSE int netlink_fd = socket (AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
  union {
    struct nlmsghdr header;
    char bytes[ANSWER_MAX];
  } answer;
  struct stat st;
  ssize_t n;
  int r;

  if (netlink_fd < 0 || fstat (fd, &st) < 0)
    return -errno;
  r = send_question (netlink_fd, (uint32_t)st.st_ino);
  if (r < 0)
    return r;
  n = recv (netlink_fd, &answer, sizeof answer, 0);
  if (n < 0)
    return -errno;
  return NLMSG_OK (&answer.header, (size_t)n) ? judge (&answer.header) : -EPROTO;
}
