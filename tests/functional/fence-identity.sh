#!/bin/bash
# The identity that serves a volume is taken away: its role, or the application itself.  That is a
# denial, also to an agent which was started after it and never saw it work.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/lib-kms.sh"
. "$(dirname "$0")/lib-fence.sh"
require jq nc
aws_start
aws_key
account=$(cut -d: -f5 <<<"$key")

# make_role USER: the role is (from now on) one that this user may take on.
make_role ()
{
  ctl create-role disk --trust "arn:aws:iam::$account:user/$1" >/dev/null
  ctl policy role/disk everything >/dev/null
}

# new_agent: what the old one kept (a session is good for an hour) is gone with it.
new_agent ()
{
  kill -KILL "$(server_status_json | jq .agent_pid)"
}

make_role demo
cat >"$HOME/.aws/config" <<END
[default]
role_arn = arn:aws:iam::$account:role/disk
source_profile = base
[profile base]
aws_access_key_id = $AWS_ACCESS_KEY_ID
aws_secret_access_key = $AWS_SECRET_ACCESS_KEY
END
unset AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY
make_volume "$dir/disk" 4M
start_server "$dir/disk" "${fast[@]}"
nbd_io "write 0 64k 0x41"
make_role nobody
new_agent
await_state fenced
assert_json "$(server_status_json)" '.reason == "role_denied"'
assert_refused
make_role demo
await_state active
nbd_io "read 0 64k 0x41"
stop_server

azure_key kek
make_volume "$dir/other" 4M
start_server "$dir/other" "${fast[@]}"
nbd_io "write 0 64k 0x42"
ctl fault deny --op token >/dev/null
new_agent
await_state fenced
assert_json "$(server_status_json)" '.reason == "identity_gone"'
ctl clear >/dev/null
await_state active
nbd_io "read 0 64k 0x42"
stop_server
