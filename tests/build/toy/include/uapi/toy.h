#define TOY_ABI 1
