/* The operations of KMS: each reads call->params, and fills in `reply` or sets the error. */
#ifndef SIM_AWS_KMS_H
#define SIM_AWS_KMS_H

#include "tools/sim/aws-keys.h"

typedef int aws_operation (struct aws_call *call, struct json *reply);

/* aws-kms-crypto.c */
aws_operation aws_encrypt, aws_decrypt, aws_re_encrypt, aws_generate_data_key,
    aws_generate_data_key_without_plaintext, aws_get_public_key;

/* aws-kms-manage.c */
aws_operation aws_create_key, aws_describe_key, aws_list_keys, aws_enable_key, aws_disable_key,
    aws_schedule_key_deletion, aws_cancel_key_deletion, aws_replicate_key;

/* aws-kms-more.c */
aws_operation aws_create_alias, aws_update_alias, aws_delete_alias, aws_list_aliases,
    aws_get_key_policy, aws_put_key_policy, aws_rotate_key_on_demand, aws_enable_key_rotation,
    aws_disable_key_rotation, aws_get_key_rotation_status, aws_create_grant, aws_revoke_grant,
    aws_list_grants;

/* Whether the caller may do `action` ("kms:Decrypt") with the key in that encryption context (NULL:
 * none), by key policy, grants and its own policy; else AccessDeniedException. */
int aws_authorize (struct aws_call *call, const struct aws_key *key, const char *action,
                   const struct json *context) MUST_CHECK;

/* Whether the key's state lets it be used; else the exception of that state. */
int aws_check_state (struct aws_call *call, const struct aws_key *key) MUST_CHECK;

/* The key that params' `member` names, and the right to do the operation with it. */
int aws_find_authorized (struct aws_call *call, const char *member, const char *action,
                         const struct json *context, struct aws_key **ret) MUST_CHECK;

/* params' `member` as a string: ValidationException when it is missing. */
int aws_need_string (struct aws_call *call, const char *member, const char **ret) MUST_CHECK;

/* params' `member` as an object of strings (an encryption context); *ret is NULL when absent. */
int
aws_take_context (struct aws_call *call, const char *member, const struct json **ret) MUST_CHECK;

/* params' `member` as base64 of min to max bytes; `ret` is a new array. */
int aws_take_blob (struct aws_call *call, const char *member, size_t min, size_t max, uint8_t **ret,
                   size_t *ret_size) MUST_CHECK;

void aws_set_blob (struct json *reply, const char *member, const uint8_t *bytes, size_t size);

#endif
