"""The walk: plan -> build -> boot -> run -> judge -> store. The one room that knows all the others."""
