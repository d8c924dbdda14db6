# The stack pointer, as emscripten's glue and hosts of ao modules set it: strings are
# passed on the guest's stack. C cannot name it.

	.globaltype	__stack_pointer, i32

	.globl	stackSave
	.export_name	stackSave, stackSave
	.type	stackSave,@function
stackSave:
	.functype	stackSave () -> (i32)
	global.get	__stack_pointer
	end_function

	.globl	stackRestore
	.export_name	stackRestore, stackRestore
	.type	stackRestore,@function
stackRestore:
	.functype	stackRestore (i32) -> ()
	local.get	0
	global.set	__stack_pointer
	end_function

	.globl	stackAlloc
	.export_name	stackAlloc, stackAlloc
	.type	stackAlloc,@function
stackAlloc:
	.functype	stackAlloc (i32) -> (i32)
	global.get	__stack_pointer
	local.get	0
	i32.sub
	i32.const	-16
	i32.and
	global.set	__stack_pointer
	global.get	__stack_pointer
	end_function
