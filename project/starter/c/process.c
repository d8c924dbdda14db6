/* NAME: a counter. handle is called with each message, as JSON, and with the environment
   of the process; what is global stays between messages. */
#include "ao.h"

static long long count;

static const char *answer(const char *from, const char *action) {
	char text[32];
	snprintf(text, sizeof text, "%lld", count);
	ao_begin();
	ao_message(from, text);
	ao_with("Action", action);
	ao_with("Count", text);
	ao_end();
	return ao_done(text);
}

AO_EXPORT(handle) const char *handle(const char *message, const char *environment) {
	char from[64], action[64], quantity[32], *end;
	(void)environment;
	if (!ao_field(message, "From", from, sizeof from) || !ao_tag(message, "Action", action, sizeof action))
		action[0] = 0;
	if (strcmp(action, "Info") == 0)
		return answer(from, "Info-Answer");
	if (strcmp(action, "Add") == 0) {
		if (!ao_tag(message, "Quantity", quantity, sizeof quantity))
			strcpy(quantity, "1");
		long long by = strtoll(quantity, &end, 10);
		if (end == quantity || *end)
			return ao_fail("Quantity must be a number");
		count += by;
		return answer(from, "Added");
	}
	ao_begin();
	return ao_done("");
}
