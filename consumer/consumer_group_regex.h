/*
 * Resolution of the patterns that a group subscribes to: which topics are there that match.
 *
 * All patterns of a group are resolved together, so that one change of topics is one change of the
 * group's epoch. A resolution runs over the topics of the image in pieces of bounded work, one a
 * turn; when it is done its records are written, as far as somebody still subscribes. There is at
 * most one for a group, and none within ten seconds of the last.
 */
#ifndef KLAMM_CONSUMER_CONSUMER_GROUP_REGEX_H
#define KLAMM_CONSUMER_CONSUMER_GROUP_REGEX_H

#include "consumer/consumer_group.h"

/*
 * Begins a resolution where one is due: a pattern is not resolved, topics were created since, or
 * group.consumer.regex.refresh.interval.ms have passed. Called with every heartbeat.
 */
void consumer_group_refresh_regexes(struct consumer_group *consumer);
/* Forgets a resolution that is under way. */
void consumer_group_stop_resolution(struct consumer_group *consumer);

#endif
