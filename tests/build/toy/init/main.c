#include "toy.h"

const char banner[] = "toy " STAMP;

void start_kernel(void)
{
	toy_name(banner);
	for (;;)
		;
}
