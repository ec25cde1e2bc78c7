/* a /* b */ */ SELECT -- c
 1 /* */;