/* The configuration's durations, for the other layers. */
#include <finback/host/duration.h>

#include "config_value.h"

int duration_parse(const char *text, int64_t *ret_us)
{
	return config_parse_duration(text, ret_us);
}
