/* What the figures of a drill promise: the right requests count as the last before the fence and
 * the first after it, what did not happen has no figure, and the data that are not the same are
 * noticed.  And the commands of the presets.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "common/checked.h"
#include "tools/drill/figures.h"
#include "tools/drill/nbd.h"
#include "tools/drill/preset.h"
#include "tools/drill/sample.h"

#define SERVED(start, end)                                        \
  (struct probe)                                                  \
  {                                                               \
    .start_ms = (start), .end_ms = (end), .outcome = PROBE_SERVED \
  }
#define REFUSED(start, end)                                                       \
  (struct probe)                                                                  \
  {                                                                               \
    .start_ms = (start), .end_ms = (end), .outcome = PROBE_REFUSED, .errnum = EIO \
  }
#define LOST(start, end)                                        \
  (struct probe)                                                \
  {                                                             \
    .start_ms = (start), .end_ms = (end), .outcome = PROBE_LOST \
  }

static const struct moments usual = {.revoke_started_ms = 900,
                                     .revoke_ended_ms = 1000,
                                     .denied_ms = 1500,
                                     .fenced_ms = 2000,
                                     .restore_started_ms = 5000,
                                     .restore_ended_ms = 5200,
                                     .active_ms = 6000};

/* ---- figures ---- */

static void
a_drill_as_it_should_be_has_all_figures (void **state)
{
  const struct probe probes[] = {SERVED (100, 101),    SERVED (1900, 1903),  REFUSED (2010, 2011),
                                 REFUSED (4900, 4901), REFUSED (5900, 5901), SERVED (6010, 6014),
                                 SERVED (6110, 6112)};
  struct figures f;

  (void)state;
  figures_of (probes, ARRAY_SIZE (probes), &usual, &f);
  assert_int_equal (f.last_served_ms, 1903);
  assert_int_equal (f.first_served_ms, 6014);
  assert_int_equal (f.revoke_to_last_served_ms, 903);
  assert_int_equal (f.revoke_to_wipe_ms, 1000);
  assert_int_equal (f.denial_to_last_served_ms, 403);
  assert_int_equal (f.denial_to_wipe_ms, 500);
  assert_int_equal (f.restore_to_first_served_ms, 1014);
  assert_int_equal (f.not_served_ms, 6014 - 1903);
  assert_int_equal (f.served, 4);
  assert_int_equal (f.refused, 3);
  assert_int_equal (f.lost, 0);
  assert_int_equal (f.served_while_fenced, 0);
}

static void
a_volume_that_was_never_fenced_has_no_last_request (void **state)
{
  const struct probe probes[] = {SERVED (100, 101), SERVED (4000, 4001), SERVED (6000, 6001)};
  struct moments moments = usual;
  struct figures f;

  (void)state;
  moments.denied_ms = moments.fenced_ms = DRILL_NEVER;
  figures_of (probes, ARRAY_SIZE (probes), &moments, &f);
  assert_true (f.last_served_ms == DRILL_NEVER && f.first_served_ms == DRILL_NEVER);
  assert_true (f.revoke_to_last_served_ms == DRILL_NEVER && f.revoke_to_wipe_ms == DRILL_NEVER);
  assert_true (f.denial_to_last_served_ms == DRILL_NEVER && f.denial_to_wipe_ms == DRILL_NEVER);
  assert_true (f.restore_to_first_served_ms == DRILL_NEVER && f.not_served_ms == DRILL_NEVER);
  assert_int_equal (f.served, 3);
}

static void
a_refusal_from_before_the_revocation_is_no_fence (void **state)
{
  const struct probe probes[] = {REFUSED (100, 101), SERVED (1900, 1901)};
  struct moments moments = usual;
  struct figures f;

  (void)state;
  moments.fenced_ms = DRILL_NEVER;
  figures_of (probes, ARRAY_SIZE (probes), &moments, &f);
  assert_true (f.last_served_ms == DRILL_NEVER);
  moments.revoke_started_ms = 50;
  figures_of (probes, ARRAY_SIZE (probes), &moments, &f);
  assert_int_equal (f.last_served_ms, 1901);
}

static void
what_is_served_while_fenced_counts_and_is_the_last (void **state)
{
  const struct probe probes[] = {SERVED (1900, 1901), REFUSED (2100, 2101), SERVED (3000, 3001),
                                 SERVED (6010, 6011)};
  struct figures f;

  (void)state;
  figures_of (probes, ARRAY_SIZE (probes), &usual, &f);
  assert_int_equal (f.served_while_fenced, 1);
  assert_int_equal (f.last_served_ms, 3001);
  assert_int_equal (f.revoke_to_last_served_ms, 2001);
}

static void
a_request_that_the_fence_overtook_was_not_served_while_fenced (void **state)
{
  const struct probe probes[] = {SERVED (1999, 2030), SERVED (2000 + DRILL_SLACK_MS, 2031)};
  struct figures f;

  (void)state;
  figures_of (probes, ARRAY_SIZE (probes), &usual, &f);
  assert_int_equal (f.served_while_fenced, 0);
}

static void
a_request_that_waited_through_the_fence_is_the_first_after_it (void **state)
{
  const struct probe probes[] = {SERVED (1900, 1901), SERVED (2001, 6005), SERVED (6100, 6101)};
  struct figures f;

  (void)state;
  figures_of (probes, ARRAY_SIZE (probes), &usual, &f);
  assert_int_equal (f.last_served_ms, 1901);
  assert_int_equal (f.first_served_ms, 6005);
}

static void
a_fence_that_comes_after_the_restore_has_begun_divides_all_the_same (void **state)
{
  const struct probe probes[] = {SERVED (1900, 1901), SERVED (5100, 5101), SERVED (5890, 5905),
                                 REFUSED (5990, 5991), SERVED (7000, 7001)};
  struct moments moments = usual;
  struct figures f;

  (void)state;
  moments.fenced_ms = 5900;
  figures_of (probes, ARRAY_SIZE (probes), &moments, &f);
  assert_int_equal (f.last_served_ms, 5905);
  assert_int_equal (f.first_served_ms, 7001);
  figures_of (probes, ARRAY_SIZE (probes) - 1, &moments, &f);
  assert_true (f.first_served_ms == DRILL_NEVER);
}

static void
a_denial_before_the_command_has_ended_makes_a_negative_interval (void **state)
{
  const struct probe probes[] = {SERVED (1900, 1901), REFUSED (2010, 2011)};
  struct moments moments = usual;
  struct figures f;

  (void)state;
  moments.revoke_ended_ms = 2500;
  moments.restore_started_ms = DRILL_NEVER;
  figures_of (probes, ARRAY_SIZE (probes), &moments, &f);
  assert_int_equal (f.revoke_to_last_served_ms, -599);
  assert_true (f.restore_to_first_served_ms == DRILL_NEVER);
  assert_true (figures_within (f.revoke_to_last_served_ms, 0));
}

static void
lost_requests_are_counted_and_nothing_else (void **state)
{
  const struct probe probes[] = {SERVED (1900, 1901), LOST (2010, 9000), LOST (9001, 9002)};
  struct figures f;

  (void)state;
  figures_of (probes, ARRAY_SIZE (probes), &usual, &f);
  assert_int_equal (f.lost, 2);
  assert_true (f.first_served_ms == DRILL_NEVER);
}

static void
a_limit_holds_what_is_equal_and_nothing_that_is_unknown (void **state)
{
  (void)state;
  assert_true (figures_within (100, 100));
  assert_false (figures_within (101, 100));
  assert_false (figures_within (DRILL_NEVER, UINT64_MAX));
}

/* ---- data ---- */

static uint8_t block[NBD_BLOCK_BYTES];

static void
the_sample_is_spread_and_spares_the_scratch_range (void **state)
{
  struct sample sample;

  (void)state;
  sample_choose (&sample, UINT64_C (64) << 20, 0, 0);
  assert_int_equal (sample.count, PROBE_BLOCKS_MAX);
  assert_int_equal (sample.blocks[1].offset_bytes, 1 << 20);
  sample_choose (&sample, UINT64_C (64) << 20, 1 << 20, 3 << 20);
  assert_int_equal (sample.count, PROBE_BLOCKS_MAX - 3);
  for (unsigned i = 0; i < sample.count; i++)
    assert_true (sample.blocks[i].offset_bytes < 1 << 20
                 || sample.blocks[i].offset_bytes >= 4 << 20);
  sample_choose (&sample, 3 * NBD_BLOCK_BYTES + 512, 0, 0);
  assert_int_equal (sample.count, 3);
  sample_choose (&sample, 512, 0, 0);
  assert_int_equal (sample.count, 0);
}

static struct prober_data
report_of (const struct sample *sample, const struct scratch *scratch)
{
  struct prober_data data;

  sample_report (sample, scratch, &data);
  return data;
}

static void
a_block_that_changes_is_noticed_and_one_that_others_wrote_before_is_not_compared (void **state)
{
  struct sample sample;
  const struct scratch none = {0};
  struct prober_data data;

  (void)state;
  sample_choose (&sample, 4 * NBD_BLOCK_BYTES, 0, 0);
  memset (block, 1, sizeof block);
  for (unsigned i = 0; i < 3; i++)
    sample_take (&sample, i, block, PROBER_BEFORE);
  block[4095] = 2;
  sample_take (&sample, 2, block, PROBER_BEFORE);
  sample_take (&sample, 0, block, PROBER_DURING);
  sample_take (&sample, 0, block, PROBER_AFTER);
  block[4095] = 1;
  sample_take (&sample, 1, block, PROBER_AFTER);
  sample_take (&sample, 2, block, PROBER_AFTER);
  sample_take (&sample, 3, block, PROBER_AFTER); /* never read before */
  sample_take (&sample, 0, block, PROBER_AFTER); /* the first look counts */
  data = report_of (&sample, &none);
  assert_int_equal (data.sampled, 4);
  assert_int_equal (data.changed, 1);
  assert_int_equal (data.same, 1);
  assert_int_equal (data.written_before, 1);
}

static void
the_scratch_range_must_have_what_was_acknowledged_or_tried_later (void **state)
{
  const struct sample none = {0};
  struct scratch scratch = {.count = 2};
  uint8_t first[NBD_BLOCK_BYTES], second[NBD_BLOCK_BYTES], third[NBD_BLOCK_BYTES];
  unsigned i;

  (void)state;
  i = scratch_next (&scratch, first);
  scratch_acknowledge (&scratch, i);
  assert_int_equal (scratch_next (&scratch, block), 1 - i);
  assert_int_equal (scratch_next (&scratch, second), i);
  scratch_acknowledge (&scratch, i);
  (void)scratch_next (&scratch, block);
  assert_int_equal (scratch_next (&scratch, third), i); /* never acknowledged */
  scratch_take (&scratch, i, second);
  assert_int_equal (report_of (&none, &scratch).scratch_wrong, 0);
  scratch_take (&scratch, i, third);
  assert_int_equal (report_of (&none, &scratch).scratch_wrong, 0);
  scratch_take (&scratch, i, first); /* an acknowledged write was lost */
  assert_int_equal (report_of (&none, &scratch).scratch_wrong, 1);
  second[4095] ^= 1;
  scratch_take (&scratch, i, second);
  assert_int_equal (report_of (&none, &scratch).scratch_wrong, 1);
  scratch_take (&scratch, 1 - i, block); /* nothing was acknowledged there */
  assert_int_equal (report_of (&none, &scratch).scratch_wrong, 1);
}

/* ---- presets ---- */

static void
assert_commands (const char *preset, const char *key, const char *version, const char *revoke,
                 const char *restore)
{
  CLEANUP_FREE char *revoke_line = NULL, *restore_line = NULL;
  struct error err = {0};

  assert_int_equal (preset_commands (preset, key, version, &revoke_line, &restore_line, &err), 0);
  assert_string_equal (revoke_line, revoke);
  assert_string_equal (restore_line, restore);
}

static void
assert_no_commands (const char *preset, const char *key)
{
  char *revoke_line = NULL, *restore_line = NULL;
  struct error err = {0};

  assert_int_equal (preset_commands (preset, key, "", &revoke_line, &restore_line, &err), -1);
  assert_int_equal (err.class, ERROR_USAGE);
}

static void
presets_name_the_very_key_and_quote_it (void **state)
{
  const char arn[] =
      "arn:aws:kms:eu-central-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab";

  (void)state;
  assert_commands ("aws", arn, "",
                   "aws kms disable-key --key-id 'arn:aws:kms:eu-central-1:111122223333:key/"
                   "1234abcd-12ab-34cd-56ef-1234567890ab' --region 'eu-central-1'",
                   "aws kms enable-key --key-id 'arn:aws:kms:eu-central-1:111122223333:key/"
                   "1234abcd-12ab-34cd-56ef-1234567890ab' --region 'eu-central-1'");
  assert_commands ("azure", "https://v.vault.azure.net/keys/k", "0123456789abcdef",
                   "az keyvault key set-attributes --id "
                   "'https://v.vault.azure.net/keys/k/0123456789abcdef' --enabled false",
                   "az keyvault key set-attributes --id "
                   "'https://v.vault.azure.net/keys/k/0123456789abcdef' --enabled true");
  assert_commands ("sim", arn, "",
                   "keyfence-kms-sim ctl disable 'arn:aws:kms:eu-central-1:111122223333:key/"
                   "1234abcd-12ab-34cd-56ef-1234567890ab'",
                   "keyfence-kms-sim ctl enable 'arn:aws:kms:eu-central-1:111122223333:key/"
                   "1234abcd-12ab-34cd-56ef-1234567890ab'");
  assert_commands ("file", "file:///a/it's", "",
                   "test ! -e '/a/it'\\''s.drill' && mv -n -- '/a/it'\\''s' '/a/it'\\''s.drill'",
                   "if test -e '/a/it'\\''s.drill'; then mv -n -- '/a/it'\\''s.drill' "
                   "'/a/it'\\''s'; fi; test -e '/a/it'\\''s'");
}

static void
presets_refuse_keys_that_they_can_not_revoke (void **state)
{
  (void)state;
  assert_no_commands ("aws", "arn:aws:kms:eu-central-1:111122223333:alias/x");
  assert_no_commands ("aws", "file:///k");
  assert_no_commands ("azure", "https://v.vault.azure.net/keys/k"); /* no version known */
  assert_no_commands ("azure", "file:///k");
  assert_no_commands ("sim", "file:///k");
  assert_no_commands ("file", "https://v.vault.azure.net/keys/k");
  assert_no_commands ("gcp", "file:///k");
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test (a_drill_as_it_should_be_has_all_figures),
      cmocka_unit_test (a_volume_that_was_never_fenced_has_no_last_request),
      cmocka_unit_test (a_refusal_from_before_the_revocation_is_no_fence),
      cmocka_unit_test (what_is_served_while_fenced_counts_and_is_the_last),
      cmocka_unit_test (a_request_that_the_fence_overtook_was_not_served_while_fenced),
      cmocka_unit_test (a_request_that_waited_through_the_fence_is_the_first_after_it),
      cmocka_unit_test (a_fence_that_comes_after_the_restore_has_begun_divides_all_the_same),
      cmocka_unit_test (a_denial_before_the_command_has_ended_makes_a_negative_interval),
      cmocka_unit_test (lost_requests_are_counted_and_nothing_else),
      cmocka_unit_test (a_limit_holds_what_is_equal_and_nothing_that_is_unknown),
      cmocka_unit_test (the_sample_is_spread_and_spares_the_scratch_range),
      cmocka_unit_test (
          a_block_that_changes_is_noticed_and_one_that_others_wrote_before_is_not_compared),
      cmocka_unit_test (the_scratch_range_must_have_what_was_acknowledged_or_tried_later),
      cmocka_unit_test (presets_name_the_very_key_and_quote_it),
      cmocka_unit_test (presets_refuse_keys_that_they_can_not_revoke),
  };

  return cmocka_run_group_tests (tests, NULL, NULL);
}
