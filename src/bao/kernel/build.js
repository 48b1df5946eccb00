console.log('k')
