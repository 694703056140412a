package manifest

func validate(d *decoder, o *object, typed any) {}
